"""Nano-dollars to words and back. Integers only: an amount is shown in full or not at all."""

from __future__ import annotations

import re

NANO_PER_DOLLAR = 1_000_000_000
NANO_DIGITS = 9
CENT_DIGITS = 2
MAX_DOLLARS = 1_000_000  # more than that is a slip of the hand
AMOUNT = re.compile(r"\$?\s*([0-9][0-9,]*|)(?:\.([0-9]{0,9}))?", re.ASCII)


def dollars(nano: int) -> str:
    """1234567 is ``$0.001234567``: at least the cents, at most nine digits, no zeros behind."""
    head, tail = dollar_parts(nano)
    return head + tail


def dollar_parts(nano: int) -> tuple[str, str]:
    """The amount up to the cent, and the digits beyond it, which may be empty."""
    whole, fraction = divmod(abs(nano), NANO_PER_DOLLAR)
    digits = f"{fraction:0{NANO_DIGITS}d}"
    sign = "-" if nano < 0 else ""
    return f"{sign}${whole:,}.{digits[:CENT_DIGITS]}", digits[CENT_DIGITS:].rstrip("0")


def parse_dollars(text: str) -> int:
    """Nano-dollars of ``12``, ``12.50``, ``$1,000`` or ``.000001``. Raises ValueError on anything else, and on more than a million."""
    found = AMOUNT.fullmatch(text.strip())
    if not found or not (found[1] or found[2]):
        raise ValueError(f"{text!r} is no amount of dollars")
    whole = int(found[1].replace(",", "") or 0)
    if whole > MAX_DOLLARS:
        raise ValueError(f"{text!r} is more than {MAX_DOLLARS:,} dollars")
    return whole * NANO_PER_DOLLAR + int((found[2] or "").ljust(NANO_DIGITS, "0"))
