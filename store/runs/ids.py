"""Ids of runs are UUIDs of version 7, so they sort by time: a period is a range of ids, and a month of them a partition of ``runs_run``."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

UUID_RANDOM_BITS = 80  # of a version 7 UUID: what follows its 48 bits of milliseconds
MONTHS = 12  # of a year


def first_id(moment: datetime) -> UUID:
    """The least id of a run opened at this moment or later."""
    return UUID(int=int(moment.timestamp() * 1000) << UUID_RANDOM_BITS)


def moment_of(run_id: UUID) -> datetime:
    """When an id was made, to the millisecond."""
    return datetime.fromtimestamp((run_id.int >> UUID_RANDOM_BITS) / 1000, tz=UTC)


def earlier(run_id: UUID, by: timedelta) -> UUID:
    """An id that is older by so much; the least one there is at least."""
    return UUID(int=max(run_id.int - (int(by.total_seconds() * 1000) << UUID_RANDOM_BITS), 0))


def month_of(moment: datetime, *, later: int = 0) -> datetime:
    """The begin (UTC) of its month, or of one so many months later."""
    day = moment.astimezone(UTC)
    years, month = divmod(day.month - 1 + later, MONTHS)
    return datetime(day.year + years, month + 1, 1, tzinfo=UTC)
