"""Hours and days in UTC, and the ranges of run ids that they are."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
UUID_RANDOM_BITS = 80  # of a version 7 UUID: what follows its 48 bits of milliseconds


def first_id(moment: datetime) -> UUID:
    """The least id of a run opened at this moment or later: ids sort by time, so a period is a range of the index."""
    return UUID(int=int(moment.timestamp() * 1000) << UUID_RANDOM_BITS)


def hour_of(moment: datetime) -> datetime:
    """The begin of its hour."""
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def midnight(day: date) -> datetime:
    """The begin of the day."""
    return datetime.combine(day, time.min, tzinfo=UTC)
