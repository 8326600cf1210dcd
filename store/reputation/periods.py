"""Hours and days in UTC."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def hour_of(moment: datetime) -> datetime:
    """The begin of its hour."""
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def midnight(day: date) -> datetime:
    """The begin of the day."""
    return datetime.combine(day, time.min, tzinfo=UTC)
