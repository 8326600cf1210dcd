"""Cells for a spreadsheet."""

from __future__ import annotations

FORMULA = ("=", "+", "-", "@", "\t", "\r")


def plain(cell: object) -> str:
    """A cell that a spreadsheet does not run: one that begins like a formula gets a quote before it."""
    text = str(cell)
    return f"'{text}" if text.startswith(FORMULA) else text
