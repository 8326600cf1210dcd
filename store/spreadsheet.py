"""Cells and lines for a spreadsheet."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from datetime import datetime

FORMULA = ("=", "+", "-", "@", "\t", "\r")


def plain(cell: object) -> str:
    """A cell that a spreadsheet does not run: one that begins like a formula gets a quote before it."""
    text = str(cell)
    return f"'{text}" if text.startswith(FORMULA) else text


def measured(value: object) -> object:
    """A number or a time as it is written: a time as ISO 8601, a fraction with three digits, what is unknown as nothing."""
    if isinstance(value, datetime):
        return value.isoformat()
    return "" if value is None else round(value, 3) if isinstance(value, float) else value


def line(cells: Iterable[object]) -> str:
    """A line of CSV (RFC 4180)."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerow(cells)
    return out.getvalue()
