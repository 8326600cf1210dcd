"""Months by the calendar: one that began on the 31st ends on the last day of a shorter month, and the next on the 31st again."""

from __future__ import annotations

import calendar
from datetime import UTC, datetime


def months_after(anchor: datetime, months: int) -> datetime:
    """The same time of day (UTC), so many months later."""
    start = anchor.astimezone(UTC)
    years, month = divmod(start.month - 1 + months, 12)
    year = start.year + years
    last = calendar.monthrange(year, month + 1)[1]
    return start.replace(year=year, month=month + 1, day=min(start.day, last))
