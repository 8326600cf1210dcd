"""Numbers from addresses."""

from __future__ import annotations

DIGITS = 18  # fits the database's bigint


def small_int(text: str | None) -> int | None:
    """The number, or None for what is none."""
    return int(text) if text and text.isascii() and text.isdigit() and len(text) <= DIGITS else None
