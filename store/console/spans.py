"""Periods of usage: whole hours or days of UTC, the one that runs included, and what each is compared with."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.db import models
from django.utils.translation import gettext_lazy as _

from store.reputation.periods import DAY, HOUR, hour_of, midnight
from store.usage.figures import MAX_SPAN, By

HOURLY = timedelta(days=3)  # up to so long a period is shown by the hour, unless somebody asks for days


class UsageSpan(models.TextChoices):
    DAY = "24h", _("24 hours")
    WEEK = "7d", _("7 days")
    MONTH = "30d", _("30 days")
    THIS_MONTH = "month", _("this month")
    LAST_MONTH = "last_month", _("last month")
    QUARTER = "90d", _("90 days")
    YEAR = "365d", _("a year")
    CUSTOM = "custom", _("from … until")


DAYS = {UsageSpan.WEEK: 7, UsageSpan.MONTH: 30, UsageSpan.QUARTER: 90, UsageSpan.YEAR: 365}


@dataclass(frozen=True, slots=True)
class SpanOfTime:
    """``since`` is included, ``until`` is not; ``by`` fits the length. The previous one is as long, and cut where this one is: at the hour that runs."""

    span: UsageSpan
    since: datetime
    until: datetime
    by: By
    previous_since: datetime
    previous_until: datetime
    is_running: bool


def span_of_time(said: dict[str, Any], *, now: datetime | None = None) -> SpanOfTime:
    """Of the fields ``span``, ``since``, ``until`` and ``by`` that make sense; 30 days where none does."""
    hour = hour_of(now or datetime.now(UTC)) + HOUR
    span = UsageSpan(said.get("span") or (UsageSpan.CUSTOM if said.get("since") else UsageSpan.MONTH))
    if span == UsageSpan.CUSTOM and not said.get("since"):
        span = UsageSpan.MONTH
    since, until = _bounds(span, hour, said.get("since"), said.get("until"))
    fits = until - since <= MAX_SPAN["hour"]
    wanted = said.get("by") or ("hour" if until - since <= HOURLY else "day")
    by: By = "hour" if wanted == "hour" and fits else "day"
    before = _month_before(since) if span in (UsageSpan.THIS_MONTH, UsageSpan.LAST_MONTH) else since - (until - since)
    seen = min(until, hour) - since
    return SpanOfTime(span, since, until, by, before, min(before + seen, since), until > hour)


def _bounds(span: UsageSpan, hour: datetime, since: date | None, until: date | None) -> tuple[datetime, datetime]:
    tomorrow = (hour - HOUR).replace(hour=0) + DAY
    month = (tomorrow - DAY).replace(day=1)
    match span:
        case UsageSpan.DAY:
            return hour - DAY, hour
        case UsageSpan.THIS_MONTH:
            return month, (month + 32 * DAY).replace(day=1)
        case UsageSpan.LAST_MONTH:
            return _month_before(month), month
        case UsageSpan.CUSTOM if since:
            end = midnight(until) + DAY if until and until >= since else tomorrow
            begin = midnight(since)
            return begin, min(max(end, begin + DAY), begin + MAX_SPAN["day"])
    return tomorrow - DAYS.get(span, DAYS[UsageSpan.MONTH]) * DAY, tomorrow


def _month_before(month: datetime) -> datetime:
    return (month - DAY).replace(day=1)
