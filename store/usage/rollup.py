"""From runs and trainings to buckets of usage, each counted exactly once: an hour is counted from its rows anew until nothing can be added to it.

A run belongs to the hour in which it was opened, and ids of runs sort by time, so an hour is a range of the primary key. How far the count has
come is not a time: transactions commit in another order than they begin. An hour is final when GRACE has passed since its end, so that
every run of it is a row, and none of these is open: looked at before they are counted. Until then each count takes the place of the
one before, in one transaction. A run that stays open for long keeps its own hour open, and no other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date, datetime, timedelta
from itertools import groupby

from django.db import transaction
from django.utils import timezone

from store.ledger.sql import execute
from store.reputation.periods import HOUR, hour_of
from store.runs.ids import first_id
from store.runs.models import Run
from store.usage.counting_sql import DIMENSIONS, SLICED, VALUES, counted, sliced, summed

LOCK_SPACE = 1_919_250_541  # of days, among the database's advisory locks
GRACE = timedelta(minutes=15)  # between a run's id and its row's commit, and between clocks, at the very most
MAX_HOURS = 24 * 14  # of one pass: a store that begins to count with years behind it does so in many, the newest first

COUNT_HOUR = f"""
INSERT INTO usage_usagebucket (grain, starts_at, {DIMENSIONS}, {VALUES})
SELECT 'hour', starts_at, {DIMENSIONS}, {VALUES}
FROM ({counted(hour="%s::timestamptz", runs="r.id >= %s AND r.id < %s", trainings="j.finished_at >= %s AND j.finished_at < %s")}) AS c
"""
SUM_DAY = f"""
INSERT INTO usage_usagebucket (grain, starts_at, {DIMENSIONS}, {VALUES})
SELECT 'day', starts_at, {DIMENSIONS}, {VALUES}
FROM ({summed(where="h.starts_at >= %s AND h.starts_at < %s + interval '1 day'")}) AS c
"""
SLICE = f"""
INSERT INTO usage_usageslice ({SLICED}) SELECT {SLICED} FROM ({sliced(where="b.grain = %s AND b.starts_at = %s")}) AS s
"""
# The hours since the first run (when it was opened is given) or training that are not final, the newest first.
DUE = """
WITH first AS (SELECT least(%s::timestamptz, (SELECT min(finished_at) FROM tuning_tunejob)) AS moment)
SELECT h.hour FROM first
CROSS JOIN generate_series(date_trunc('hour', first.moment, 'UTC') - interval '1 hour', %s::timestamptz, interval '1 hour') AS h (hour)
WHERE NOT EXISTS (SELECT FROM usage_countedhour c WHERE c.hour = h.hour AND c.is_final)
ORDER BY h.hour DESC LIMIT %s
"""


def roll_up(*, now: datetime | None = None) -> list[datetime]:
    """Counts the hours that are not final, MAX_HOURS at most; returns their begins."""
    moment = now or timezone.now()
    due = [hour for (hour,) in execute(DUE, _first_opened(moment), hour_of(moment), MAX_HOURS)]
    _count(due, moment)
    return due


def _first_opened(now: datetime) -> datetime | None:
    """When the first run was opened. With an end, the months follow each other, and the first one with a run is the only one that is read."""
    return Run.objects.filter(id__lt=first_id(now + HOUR)).order_by("id").values_list("opened_at", flat=True).first()


def rebuild(since: datetime, until: datetime) -> None:
    """Counts every hour that is touched by this time again, whether it was final or not."""
    hours, hour = [], hour_of(since)
    while hour < until:
        hours.append(hour)
        hour += HOUR
    _count(hours, timezone.now())


def _count(hours: Iterable[datetime], now: datetime) -> None:
    for _day, of_day in _by_day(hours):
        _count_day(of_day, now)


def _by_day(hours: Iterable[datetime]) -> Iterator[tuple[date, list[datetime]]]:
    """Days from the newest to the oldest, with their hours."""
    newest_first = sorted({hour_of(hour) for hour in hours}, reverse=True)
    for day, of_day in groupby(newest_first, key=lambda hour: hour.date()):
        yield day, list(of_day)


@transaction.atomic
def _count_day(hours: list[datetime], now: datetime) -> None:
    """These hours of one day, and the day: together, so that they never differ. Of two counts the later one has seen more."""
    midnight = hours[0].replace(hour=0)
    execute("SELECT pg_advisory_xact_lock(%s, %s)", LOCK_SPACE, int(midnight.timestamp()) // 86_400)
    for hour in hours:
        begin, end = first_id(hour), first_id(hour + HOUR)
        is_final = hour + HOUR + GRACE <= now and not _has_open(
            begin, end
        )  # before the count, which sees at least as much
        execute("DELETE FROM usage_usagebucket WHERE grain = 'hour' AND starts_at = %s", hour)
        execute(COUNT_HOUR, hour, begin, end, hour, hour + HOUR)
        _slice("hour", hour)
        execute(
            """INSERT INTO usage_countedhour (hour, is_final) VALUES (%s, %s)
               ON CONFLICT (hour) DO UPDATE SET is_final = EXCLUDED.is_final, counted_at = now()""",
            hour,
            is_final,
        )
    execute("DELETE FROM usage_usagebucket WHERE grain = 'day' AND starts_at = %s", midnight)
    execute(SUM_DAY, midnight, midnight)
    _slice("day", midnight)


def _slice(grain: str, begin: datetime) -> None:
    """Sums the buckets of an hour or a day."""
    execute("DELETE FROM usage_usageslice WHERE grain = %s AND starts_at = %s", grain, begin)
    execute(SLICE, grain, begin)


def _has_open(begin: object, end: object) -> bool:
    [(found,)] = execute(
        "SELECT EXISTS (SELECT FROM runs_run WHERE status = 'open' AND id >= %s AND id < %s)", begin, end
    )
    return bool(found)


def counted_until() -> datetime | None:
    """When what has ended was last counted; None before the first count."""
    [(moment,)] = execute("SELECT max(counted_at) FROM usage_countedhour WHERE NOT is_final")
    return moment if isinstance(moment, datetime) else None
