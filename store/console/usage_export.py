"""Usage as a file: a row for each hour or day, model, key, member and kind."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from store.accounts.models import Organization
from store.console.consumption import scope_of
from store.console.forms.usage import UsageFilter
from store.console.spans import span_of_time
from store.reputation.histogram import quantile
from store.spreadsheet import line, measured, plain
from store.usage.counting_sql import COUNTS
from store.usage.models import Grain, UsageBucket

CHUNK = 2000  # rows in hand
SCHEMA = pa.schema(
    [
        ("time", pa.timestamp("s", tz="UTC")),
        *((name, pa.string()) for name in ("model", "key", "member", "kind")),
        *((name, pa.int64()) for name in COUNTS),
        ("ttft_p50_ms", pa.float64()),
        ("ttft_p95_ms", pa.float64()),
    ]
)


def exported(organization: Organization, form: UsageFilter) -> Iterator[dict[str, Any]]:
    """The rows of SCHEMA, in order of time, as the form says: by the day where it shows whole days, else by the hour."""
    said = form.chosen() if form.is_bound else {}
    span = span_of_time(said)
    scope = scope_of(organization, said, span)
    grain = Grain.DAY if span.by == "day" and scope.is_whole_days else Grain.HOUR
    found = UsageBucket.objects.filter(
        organization=organization, grain=grain, starts_at__gte=scope.begin, starts_at__lt=scope.end
    )
    exact = {"listing": scope.listing, "api_key": scope.api_key, "member": scope.member, "kind": scope.kind}
    found = found.filter(**{name: value for name, value in exact.items() if value})
    related = found.select_related("listing__organization", "api_key", "member").order_by("starts_at", "pk")
    return (_row(bucket) for bucket in related.iterator(chunk_size=CHUNK))


def csv_lines(rows: Iterable[dict[str, Any]]) -> Iterator[str]:
    """Lines of CSV, the names of the columns first."""
    yield line(SCHEMA.names)
    for row in rows:
        yield line([_cell(row[name]) for name in SCHEMA.names])


def parquet_bytes(rows: Iterable[dict[str, Any]]) -> bytes:
    """A file of one table, its times in UTC."""
    out = io.BytesIO()
    parquet.write_table(pa.Table.from_pylist(list(rows), schema=SCHEMA), out, compression="zstd")
    return out.getvalue()


def _row(bucket: UsageBucket) -> dict[str, Any]:
    return {
        "time": bucket.starts_at,
        "model": bucket.listing.name if bucket.listing else "",
        "key": bucket.api_key.prefix if bucket.api_key else "",
        "member": bucket.member.email if bucket.member else "",
        "kind": bucket.kind,
        **{name: getattr(bucket, name) for name in COUNTS},
        "ttft_p50_ms": quantile(bucket.first_token_ms, 0.5),
        "ttft_p95_ms": quantile(bucket.first_token_ms, 0.95),
    }


def _cell(value: object) -> object:
    return plain(value) if isinstance(value, str) else measured(value)
