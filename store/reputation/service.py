"""How well a listing is served, for everybody to see: uptime, time to first token, speed, as series for small charts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import timezone

from store.catalog.models import Listing
from store.reputation.histogram import added, quantile
from store.reputation.models import ListingHour
from store.reputation.periods import hour_of

HOURLY_DAYS = 2  # up to as many days are shown by the hour, more of them by the day


@dataclass(frozen=True, kw_only=True, slots=True)
class Service:
    """Of some time. ``uptime`` is 1 - failed / calls: the share of calls that ended without our fault. None where there were none."""

    calls: int
    failed: int
    uptime: float | None
    ttft_p50_ms: float | None
    ttft_p95_ms: float | None
    tokens_per_s: float | None  # median over calls, after the first token


@dataclass(frozen=True, kw_only=True, slots=True)
class ServiceFigures:
    """``series[i]`` is of the hour or day that begins at ``times[i]`` (UTC); ``whole`` of all of them together."""

    whole: Service
    times: list[datetime]
    series: list[Service]


def service_of(listing: Listing, days: int) -> ServiceFigures:
    """The last ``days`` days (1 to 90), the running hour included: by the hour for up to two days, else by the day."""
    days = max(1, min(days, 90))
    end = hour_of(timezone.now()) + timedelta(hours=1)
    step = timedelta(hours=1) if days <= HOURLY_DAYS else timedelta(days=1)
    times = [end - back * step for back in range(timedelta(days=days) // step, 0, -1)]
    groups: list[list[ListingHour]] = [[] for _time in times]
    rows = ListingHour.objects.filter(listing=listing, hour__gte=times[0], hour__lt=end)
    for row in rows.only("hour", "calls", "failed", "first_token_ms", "tokens_per_s"):
        groups[(row.hour - times[0]) // step].append(row)
    return ServiceFigures(
        whole=_service([row for group in groups for row in group]),
        times=times,
        series=[_service(group) for group in groups],
    )


def _service(rows: Sequence[ListingHour]) -> Service:
    calls, failed = sum(row.calls for row in rows), sum(row.failed for row in rows)
    waits = added([row.first_token_ms for row in rows])
    return Service(
        calls=calls,
        failed=failed,
        uptime=1 - failed / calls if calls else None,
        ttft_p50_ms=quantile(waits, 0.5),
        ttft_p95_ms=quantile(waits, 0.95),
        tokens_per_s=quantile(added([row.tokens_per_s for row in rows]), 0.5),
    )
