"""From tokens to nano-dollars and back: integers only, one rounding (up) for each charge."""

from __future__ import annotations

from dataclasses import dataclass

TOKENS_PER_PRICE = 1_000_000  # a price is for this many tokens
PPM = 1_000_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Rates:
    """Nano-dollars per million tokens of a class, and per request."""

    input_nano: int
    cached_input_nano: int  # at most input_nano
    output_nano: int
    request_nano: int = 0


def charge(rates: Rates, *, prompt_tokens: int, output_tokens: int, cached_tokens: int = 0) -> int:
    """Nano-dollars for a run; ``cached_tokens`` of ``prompt_tokens`` were read from a cache."""
    exact = (
        (prompt_tokens - cached_tokens) * rates.input_nano
        + cached_tokens * rates.cached_input_nano
        + output_tokens * rates.output_nano
    )
    return -(-exact // TOKENS_PER_PRICE) + rates.request_nano


@dataclass(frozen=True, kw_only=True, slots=True)
class Covered:
    """Tokens of a run that are paid already: of the prompt, whatever part of it comes from a cache, and of the output."""

    input: int = 0
    output: int = 0


NOT_COVERED = Covered()


def charge_beyond(
    rates: Rates, covered: Covered, *, prompt_tokens: int, output_tokens: int, cached_tokens: int = 0
) -> int:
    """Nano-dollars for what of a run is not covered: of the prompt the dearer tokens are covered first. The price per request stays."""
    of_cache = max(covered.input - (prompt_tokens - cached_tokens), 0)
    return charge(
        rates,
        prompt_tokens=prompt_tokens - covered.input,
        cached_tokens=cached_tokens - of_cache,
        output_tokens=output_tokens - covered.output,
    )


def training_charge(price_nano: int, tokens: int) -> int:
    """Nano-dollars for training ``tokens`` at ``price_nano`` for a million."""
    return -(-price_nano * tokens // TOKENS_PER_PRICE)


def affordable_tokens(rates: Rates, *, prompt_tokens: int, amount_nano: int, at_most: int) -> int:
    """The most output tokens, 0 to ``at_most``, that a run can make for ``amount_nano``. Exact: one more would cost more.

    -1 where even the prompt costs more.
    """
    room = (amount_nano - rates.request_nano) * TOKENS_PER_PRICE - prompt_tokens * rates.input_nano
    if room < 0:
        return -1
    return min(at_most, room // rates.output_nano) if rates.output_nano else at_most


def split(charge_nano: int, *, commission_ppm: int) -> tuple[int, int]:
    """(provider, platform): the platform's share is rounded down, and the two are the charge, to the unit."""
    platform = charge_nano * commission_ppm // PPM
    return charge_nano - platform, platform
