"""What an organization used: its runs by page, and what they come to by day."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Count, F, Q, Sum
from django.db.models.functions import TruncDate
from django.utils.translation import gettext as _

from store.accounts.models import Organization
from store.runs.models import Run, RunQuerySet

PER_PAGE = 50
CHART_DAYS = 30
UUID_RANDOM_BITS = 80  # of a version 7 UUID: what follows its 48 bits of milliseconds


@dataclass(frozen=True, slots=True)
class RunPage:
    """``older`` is the id after which the next page begins, None on the last."""

    runs: list[Run]
    older: UUID | None


@dataclass(frozen=True, slots=True)
class Totals:
    """Of runs that have ended."""

    runs: int
    prompt_tokens: int
    output_tokens: int
    charge_nano: int


def first_id(moment: datetime) -> UUID:
    """The least id of a run opened at this moment or later: ids sort by time, so a period is a range of the index."""
    return UUID(int=int(moment.timestamp() * 1000) << UUID_RANDOM_BITS)


def runs_of(organization: Organization, *, model: Any = None, key: Any = None, status: str = "", since: date | None = None,
            until: date | None = None) -> RunQuerySet:  # fmt: skip
    """The organization's runs, newest first; days are UTC, both ends included."""
    found = Run.objects.filter(organization=organization).order_by("-id")
    if model:
        found = found.filter(listing=model)
    if key:
        found = found.filter(api_key=key)
    if status:
        found = found.filter(status=status)
    if since:
        found = found.filter(id__gte=first_id(_midnight(since)))
    if until:
        found = found.filter(id__lt=first_id(_midnight(until + timedelta(days=1))))
    return found


def run_page(runs: RunQuerySet, *, before: UUID | None) -> RunPage:
    """The newest runs that are older than ``before``."""
    if before:
        runs = runs.filter(id__lt=before)
    rows = list(runs.select_related("listing__organization", "api_key")[: PER_PAGE + 1])
    return RunPage(rows[:PER_PAGE], rows[PER_PAGE - 1].id if len(rows) > PER_PAGE else None)


def totals(runs: RunQuerySet) -> Totals:
    sums = runs.order_by().aggregate(
        runs=Count("pk"),
        prompt_tokens=Sum("prompt_tokens", filter=_paid(), default=0),
        output_tokens=Sum("output_tokens", default=0),
        charge_nano=Sum("charge_nano", default=0),
    )
    return Totals(**{name: int(value) for name, value in sums.items()})


def daily_chart(runs: RunQuerySet, *, today: date) -> dict[str, Any]:
    """Tokens and cost for each of the last CHART_DAYS days (UTC), as the chart island reads it."""
    days = [today - timedelta(days=back) for back in reversed(range(CHART_DAYS))]
    recent = runs.filter(id__gte=first_id(_midnight(days[0]))).order_by()
    by_day: dict[date, Any] = {
        row["day"]: row
        for row in recent.annotate(day=TruncDate("opened_at", tzinfo=UTC))
        .values("day")
        .annotate(tokens=Sum(F("prompt_tokens") + F("output_tokens"), filter=_paid()), cost=Sum("charge_nano"))
    }
    tokens = [int(by_day.get(day, {}).get("tokens") or 0) for day in days]
    cost = [int(by_day.get(day, {}).get("cost") or 0) for day in days]
    return {
        "times": [int(_midnight(day).timestamp()) for day in days],
        "series": [
            {"label": _("Tokens"), "unit": "tokens", "kind": "bars", "values": tokens},
            {"label": _("Cost"), "unit": "nano", "kind": "line", "values": cost},
        ],
    }


def _paid() -> Q:
    """A run that failed before its first token used nothing."""
    return Q(charge_nano__gt=0) | Q(output_tokens__gt=0)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time.min, tzinfo=UTC)
