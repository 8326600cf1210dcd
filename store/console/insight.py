"""How models are used and what they bring, as the analytics page shows it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from django.db import models
from django.utils.translation import gettext as _t
from django.utils.translation import gettext_lazy as _

from store.accounts.models import Organization
from store.catalog.models import Listing
from store.reputation.analytics import AnalyticsRow, analytics
from store.reputation.royalties import RoyaltyRow, royalties_earned


class Span(models.TextChoices):
    DAY = "24h", _("24 hours")
    WEEK = "7d", _("7 days")
    MONTH = "30d", _("30 days")
    QUARTER = "90d", _("90 days")
    YEAR = "365d", _("a year")


LENGTH = {Span.DAY: 1, Span.WEEK: 7, Span.MONTH: 30, Span.QUARTER: 90, Span.YEAR: 365}  # days
HOURLY = (Span.DAY, Span.WEEK)


@dataclass(frozen=True, slots=True)
class Sums:
    """Of a period. Money in nano-dollars; ``failed_ppm`` in parts per million of all calls."""

    calls: int
    failed: int
    failed_ppm: int
    prompt_tokens: int
    output_tokens: int
    charge_nano: int
    revenue_nano: int
    royalty_nano: int  # paid to others


@dataclass(frozen=True, slots=True)
class Insight:
    """``rows`` are hours or days in which there were calls; ``charts`` is data for the chart island, each for one drawing."""

    span: Span
    by: Literal["hour", "day"]
    rows: list[AnalyticsRow]
    sums: Sums
    charts: dict[str, dict[str, Any]]


def insight(organization: Organization, *, span: Span, listing: Listing | None = None) -> Insight:
    """Up to now, of one listing or of all of the organization's."""
    by: Literal["hour", "day"] = "hour" if span in HOURLY else "day"
    since, until = period(span)
    rows = analytics(organization=organization, since=since, until=until, by=by, listing=listing)
    return Insight(span, by, rows, _sums(rows), _charts(rows, since, until, by))


def by_listing(organization: Organization, *, span: Span) -> list[AnalyticsRow]:
    """A row for each model, the most revenue first."""
    since, until = period(span)
    return analytics(organization=organization, since=since, until=until, by="listing")


def royalties(organization: Organization, *, span: Span) -> list[RoyaltyRow]:
    """What others' models that were made from the organization's brought it."""
    since, until = period(span)
    return royalties_earned(organization=organization, since=since, until=until)


def period(span: Span) -> tuple[datetime, datetime]:
    """Whole hours or whole days (UTC), the one that runs included."""
    now = datetime.now(UTC)
    hour = now.replace(minute=0, second=0, microsecond=0)
    until = hour + timedelta(hours=1) if span in HOURLY else hour.replace(hour=0) + timedelta(days=1)
    return until - timedelta(days=LENGTH[span]), until


def _sums(rows: Sequence[AnalyticsRow]) -> Sums:
    names = ("calls", "failed", "prompt_tokens", "output_tokens", "charge_nano", "revenue_nano", "royalty_nano")
    sums = {name: sum(getattr(row, name) for row in rows) for name in names}
    return Sums(**sums, failed_ppm=1_000_000 * sums["failed"] // sums["calls"] if sums["calls"] else 0)


def _charts(rows: Sequence[AnalyticsRow], since: datetime, until: datetime, by: str) -> dict[str, dict[str, Any]]:
    step = timedelta(hours=1) if by == "hour" else timedelta(days=1)
    moments = [since + step * index for index in range((until - since) // step)]
    found = {row.time: row for row in rows}

    def values(name: str, nothing: int | None) -> list[Any]:
        """A moment without calls has ``nothing``: zero calls, but no latency."""
        return [getattr(found[moment], name) if moment in found else nothing for moment in moments]

    def chart(*series: tuple[str, str, str, str, int | None]) -> dict[str, Any]:
        return {
            "times": [int(moment.timestamp()) for moment in moments],
            "series": [
                {"label": label, "unit": unit, "kind": kind, "values": values(name, nothing)}
                for label, unit, kind, name, nothing in series
            ],
        }

    return {
        "money": chart(
            (_t("Calls"), "tokens", "bars", "calls", 0), (_t("Earned"), "nano", "line", "revenue_nano", 0)
        ),
        "tokens": chart(
            (_t("Tokens in"), "tokens", "line", "prompt_tokens", 0), (_t("Tokens out"), "tokens", "line", "output_tokens", 0)
        ),
        "latency": chart(
            (_t("First token, median"), "ms", "line", "ttft_p50_ms", None),
            (_t("First token, 95th percentile"), "ms", "line", "ttft_p95_ms", None),
        ),
    }  # fmt: skip
