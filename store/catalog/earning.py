"""What a provider earns at a price: shown while they type it."""

from __future__ import annotations

from dataclasses import dataclass

from store.catalog.actions.prices import PriceSpec
from store.ledger.models import TransferKind
from store.ledger.pricing import Rates, charge
from store.ledger.shares import Plan, split

CALLS = 1_000


@dataclass(frozen=True, kw_only=True, slots=True)
class TypicalCall:
    """Tokens of a call; ``cached_tokens`` of ``prompt_tokens`` come from a cache. Averages are rounded."""

    prompt_tokens: int
    cached_tokens: int
    output_tokens: int


# A chat of a few turns. A listing that has been called often has its own: store.runs.typical.
TYPICAL_CALL = TypicalCall(prompt_tokens=500, cached_tokens=100, output_tokens=200)


def earning_estimate(price: PriceSpec, *, plan: Plan, typical: TypicalCall = TYPICAL_CALL) -> int:
    """Nano-dollars that a provider keeps of CALLS typical calls of others, by the rules that charge and split a run; free calls left out."""
    rates = Rates(
        input_nano=price.input_nano,
        cached_input_nano=price.cached_nano,
        output_nano=price.output_nano,
        request_nano=price.request_nano,
    )
    one = charge(
        rates,
        prompt_tokens=typical.prompt_tokens,
        output_tokens=typical.output_tokens,
        cached_tokens=typical.cached_tokens,
    )
    return CALLS * sum(share.amount_nano for share in split(one, plan) if share.kind == TransferKind.USAGE)
