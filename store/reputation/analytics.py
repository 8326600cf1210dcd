"""What a provider's models did and earned, by hour or by day: from the rollups, so ten million calls are as quick to show as ten."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import Literal

from store.accounts.models import Organization
from store.catalog.models import Listing
from store.errors import InvalidRequest
from store.ledger.sql import execute
from store.reputation.histogram import BUCKETS, quantile
from store.spreadsheet import line, measured

By = Literal["hour", "day", "listing"]
MAX_SPAN = {"hour": timedelta(days=31), "day": timedelta(days=366), "listing": timedelta(days=366)}


@dataclass(frozen=True, kw_only=True, slots=True)
class AnalyticsRow:
    """Of an hour or a day (UTC) that begins at ``time``, or of a listing. Money in nano-dollars, times in milliseconds."""

    time: datetime | None
    listing: str  # the full name; empty: all of them
    calls: int
    failed: int
    paid_calls: int
    prompt_tokens: int
    cached_tokens: int
    output_tokens: int
    charge_nano: int  # what customers paid
    revenue_nano: int  # the provider's share
    royalty_nano: int  # what went to those whose models these were made from
    ttft_p50_ms: float | None
    ttft_p95_ms: float | None
    tokens_per_s: float | None


def analytics(
    *, organization: Organization, since: datetime, until: datetime, by: By = "day", listing: Listing | None = None
) -> list[AnalyticsRow]:
    """Rows in order of time, or the listings with the most revenue first. Hours and days without a call have none.

    ``since`` is included, ``until`` is not; both are cut to whole hours. One listing, which must be the organization's, or all of
    them. Raises InvalidRequest where the time is too long for ``by``.
    """
    if until <= since:
        raise InvalidRequest("The period must end after it begins.", param="until")
    if until - since > MAX_SPAN[by]:
        raise InvalidRequest(f"By {by}, {MAX_SPAN[by].days} days are the most.", param="since")
    rows = execute(
        QUERIES[by], organization.pk, listing.pk if listing else None, since.astimezone(UTC), until.astimezone(UTC)
    )
    return [
        AnalyticsRow(
            time=time,
            listing=name or (listing.name if listing else ""),
            calls=sums[0],
            failed=sums[1],
            paid_calls=sums[2],
            prompt_tokens=sums[3],
            cached_tokens=sums[4],
            output_tokens=sums[5],
            charge_nano=sums[6],
            revenue_nano=sums[7],
            royalty_nano=sums[8],
            ttft_p50_ms=quantile(waits, 0.5),
            ttft_p95_ms=quantile(waits, 0.95),
            tokens_per_s=quantile(speeds, 0.5),
        )
        for time, name, _part, waits, speeds, *sums in rows
    ]


def analytics_csv(rows: list[AnalyticsRow]) -> Iterator[str]:
    """The same rows as lines of CSV, the names of the columns first."""
    names = [field.name for field in fields(AnalyticsRow)]
    yield line(names)
    for row in rows:
        yield line([measured(getattr(row, name)) for name in names])


def _sum_of(column: str) -> str:
    """A histogram's sum, bucket by bucket: ten times as fast as taking the arrays apart and putting them together again."""
    return "ARRAY[" + ", ".join(f"sum(h.{column}[{place}])" for place in range(1, BUCKETS + 1)) + "]::bigint[]"


QUERY = """
SELECT {time}, {name}, s.* FROM (
    SELECT {group} AS part, {sum_waits} AS waits, {sum_speeds} AS speeds, sum(calls)::bigint, sum(failed)::bigint, sum(paid_calls)::bigint,
           sum(prompt_tokens)::bigint, sum(cached_tokens)::bigint, sum(output_tokens)::bigint, sum(charge_nano)::bigint,
           sum(provider_nano)::bigint AS revenue, sum(royalty_nano)::bigint
    FROM reputation_listinghour h JOIN catalog_listing l ON l.id = h.listing_id
    WHERE l.organization_id = %s AND h.listing_id = coalesce(%s::bigint, h.listing_id) AND h.hour >= date_trunc('hour', %s::timestamptz)
      AND h.hour < %s::timestamptz GROUP BY part) AS s
ORDER BY {order}
"""
NAME = "(SELECT o.slug || '/' || l.slug FROM catalog_listing l JOIN accounts_organization o ON o.id = l.organization_id WHERE l.id = part)"


def _query(group: str, time: str, name: str, order: str) -> str:
    return QUERY.format(
        group=group, time=time, name=name, order=order,
        sum_waits=_sum_of("first_token_ms"), sum_speeds=_sum_of("tokens_per_s"),
    )  # fmt: skip


QUERIES: dict[By, str] = {
    "hour": _query("h.hour", "part", "''", "part"),
    "day": _query("date_trunc('day', h.hour, 'UTC')", "part", "''", "part"),
    "listing": _query("h.listing_id", "NULL::timestamptz", NAME, "revenue DESC, part"),
}
