"""Budgets as they stand: what was spent of each in its period, what is held, what is left."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from django.utils import timezone

from store.keys.models import Budget, BudgetUse, Period, period_starts_on
from store.ledger.sql import array, execute
from store.reputation.periods import DAY, midnight
from store.usage.figures import Scope
from store.usage.forecast import Forecast, forecast

# What is held of each use by runs and trainings that have not ended: (use_id, nano).
HELD = """
SELECT use_id, sum(h.amount_nano)::bigint AS nano
FROM (SELECT hold_id, budget_uses FROM runs_run WHERE status = 'open'
      UNION ALL SELECT hold_id, budget_uses FROM tuning_tunejob WHERE status IN ('validating_files', 'queued', 'running', 'paused')) AS o
CROSS JOIN unnest(o.budget_uses) AS use_id JOIN ledger_hold h ON h.id = o.hold_id GROUP BY use_id
"""
NEAR_PERCENT = 80  # of the limit: from here on it is shown as a warning


@dataclass(frozen=True, kw_only=True, slots=True)
class BudgetNow:
    """A budget in its current period. Nano-dollars; ``used_nano`` is spent and held together; ``ends_on``: the first day after it."""

    budget: Budget
    starts_on: date
    ends_on: date | None
    spent_nano: int
    held_nano: int
    refused_at: datetime | None
    forecast: Forecast | None  # of a month

    @property
    def used_nano(self) -> int:
        return self.spent_nano + self.held_nano

    @property
    def left_nano(self) -> int:
        return max(self.budget.limit_nano - self.used_nano, 0)

    @property
    def used_percent(self) -> int:
        """Of the limit, rounded down: what is not all is never called 100."""
        limit = self.budget.limit_nano
        return 100 * self.used_nano // limit if limit else 100

    @property
    def level(self) -> str:
        """``bad`` where it refuses or is used up, ``warn`` where it is near that, else ``good``."""
        if (self.refused_at is not None and self.budget.is_hard) or self.used_percent >= 100:
            return "bad"
        return "warn" if self.used_percent >= NEAR_PERCENT else "good"


def budgets_now(chosen: Iterable[Budget], *, now: datetime | None = None) -> list[BudgetNow]:
    """In the order given."""
    budgets = list(chosen)
    moment = now or timezone.now()
    today = moment.astimezone(UTC).date()
    starts = {budget.pk: period_starts_on(budget.period, today) for budget in budgets}
    uses = {
        use.budget_id: use
        for use in BudgetUse.objects.filter(budget__in=starts, starts_on__in=set(starts.values()))
        if use.starts_on == starts[use.budget_id]
    }
    held = held_of([use.pk for use in uses.values()])
    return [_now(budget, starts[budget.pk], uses.get(budget.pk), held, moment) for budget in budgets]


def held_of(use_ids: Sequence[int]) -> dict[int, int]:
    """Nano-dollars by the id of a use, of those of which something is held."""
    if not use_ids:
        return {}
    return dict(execute(f"SELECT use_id, nano FROM ({HELD}) AS held WHERE use_id = ANY(%s::bigint[])", array(use_ids)))


def _now(
    budget: Budget, starts_on: date, use: BudgetUse | None, held: dict[int, int], moment: datetime
) -> BudgetNow:  # fmt: skip
    held_nano = held.get(use.pk, 0) if use else 0
    spent_nano = max(use.used_nano - held_nano, 0) if use else 0  # the two were not read at one moment
    ends_on = period_ends_on(budget.period, starts_on)
    return BudgetNow(
        budget=budget,
        starts_on=starts_on,
        ends_on=ends_on,
        spent_nano=spent_nano,
        held_nano=held_nano,
        refused_at=use.refused_at if use else None,
        forecast=_forecast(budget, spent_nano, ends_on, moment) if ends_on and budget.period == Period.MONTH else None,
    )


def _forecast(budget: Budget, spent_nano: int, ends_on: date, moment: datetime) -> Forecast | None:
    scope = Scope(
        organization=budget.organization, since=moment - DAY, until=moment, listing=budget.listing, api_key=budget.api_key, member=budget.member
    )  # fmt: skip
    return forecast(
        scope, spent_nano=spent_nano, ends_at=midnight(ends_on), now=moment, limit_nano=budget.limit_nano
    )  # fmt: skip


def period_ends_on(period: str, starts_on: date) -> date | None:
    """The first day after it; None where it has no end."""
    if period == Period.TOTAL:
        return None
    return starts_on + timedelta(days=1) if period == Period.DAY else (starts_on + timedelta(days=32)).replace(day=1)
