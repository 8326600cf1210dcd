"""What will have been spent when a month ends, if it goes on as in the last seven days.

Seven days hold each day of the week once. From what began later, or where less is known, the time since its first use counts; from less
than one day nothing is foretold. What comes of it is a rate and a straight line, and is shown with both.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from store.accounts.models import Organization
from store.reputation.periods import DAY, HOUR, hour_of
from store.usage.figures import Scope, totals
from store.usage.models import Grain, UsageBucket

WINDOW = 7 * DAY
LEAST = DAY


@dataclass(frozen=True, kw_only=True, slots=True)
class Forecast:
    """Nano-dollars. ``per_day_nano``: the average of the last ``hours`` hours; ``runs_out_at``: when a limit is reached, None where it is not."""

    expected_nano: int
    per_day_nano: int
    hours: int
    runs_out_at: datetime | None

    @property
    def days(self) -> int:
        """Whole days of the basis."""
        return self.hours // 24


def forecast(
    scope: Scope, *, spent_nano: int, ends_at: datetime, now: datetime, limit_nano: int | None = None
) -> Forecast | None:
    """What the spending of ``scope`` (its times do not matter) will come to at ``ends_at``; None where too little is known."""
    end = hour_of(now)
    first = _first_day(scope)
    begin = max(end - WINDOW, first) if first else end
    if end - begin < LEAST:
        return None
    hours = (end - begin) // HOUR
    spent = totals(replace(scope, since=begin, until=end)).charge_nano
    left = max((ends_at - now).total_seconds() / 3600, 0.0)
    return Forecast(
        expected_nano=spent_nano + int(spent * left / hours),
        per_day_nano=spent * 24 // hours,
        hours=hours,
        runs_out_at=_runs_out(limit_nano, spent_nano, spent / hours, now, ends_at),
    )


def _runs_out(
    limit_nano: int | None, spent_nano: int, per_hour: float, now: datetime, ends_at: datetime
) -> datetime | None:
    """When the limit is reached at this rate, if that is before the end and not behind us."""
    if limit_nano is None or not per_hour or spent_nano >= limit_nano:
        return None
    hours = (limit_nano - spent_nano) / per_hour
    return now + hours * HOUR if hours < (ends_at - now) / HOUR else None


def forecast_of_month(organization: Organization, *, now: datetime) -> tuple[int, Forecast | None]:
    """What the organization has spent since the month (UTC) began, and what it will come to."""
    month = hour_of(now).replace(day=1, hour=0)
    scope = Scope(organization=organization, since=month, until=hour_of(now) + HOUR)
    spent = totals(scope).charge_nano
    ends_at = (month + 32 * DAY).replace(day=1)
    return spent, forecast(scope, spent_nano=spent, ends_at=ends_at, now=now)


def _first_day(scope: Scope) -> datetime | None:
    """The day of the first use of it, ever."""
    days = UsageBucket.objects.filter(organization=scope.organization, grain=Grain.DAY)
    exact = {"listing": scope.listing, "api_key": scope.api_key, "member": scope.member}
    days = days.filter(**{name: value for name, value in exact.items() if value})
    return days.order_by("starts_at").values_list("starts_at", flat=True).first()
