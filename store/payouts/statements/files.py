"""A statement as a file: CSV and Parquet, chunk by chunk."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import fields
from datetime import UTC, datetime
from itertools import chain, islice
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from store.accounts.models import Organization
from store.payouts.statements.period import Period
from store.payouts.statements.rows import Row, statement_rows
from store.spreadsheet import plain

T = TypeVar("T")
LINES = 2000  # of a chunk of CSV
GROUP = 20_000  # rows of a row group of Parquet
SHOWN = ("amount_usd",)  # beside the fields of a row
TEXTS = ("kind", "listing", "run_id", "job_id", "reference", "amount_usd")
NAMES = [*(field.name for field in fields(Row)), *SHOWN]
SCHEMA = pa.schema([
    (name, pa.timestamp("us", tz="UTC") if name == "time" else pa.string() if name in TEXTS else pa.int64()) for name in NAMES
])  # fmt: skip


def as_csv(organization: Organization, period: Period) -> Iterator[bytes]:
    """RFC 4180 in UTF-8, with a byte order mark, so that spreadsheets read every script; times in UTC. No cell is taken for a formula."""
    yield "\ufeff".encode()
    head: list[object] = [*NAMES]
    for some in _together(chain([head], map(_cells, statement_rows(organization, period))), LINES):
        page = io.StringIO()
        csv.writer(page, lineterminator="\r\n").writerows(some)
        yield page.getvalue().encode()


def as_parquet(organization: Organization, period: Period) -> Iterator[bytes]:
    """The same columns, typed; money in nano-dollars as 64-bit integers."""
    written = _Written()
    with pq.ParquetWriter(written, SCHEMA, compression="zstd") as writer:
        for some in _together(statement_rows(organization, period), GROUP):
            columns = [[getattr(row, name) for row in some] for name in NAMES]
            arrays = [pa.array(column, type=field.type) for column, field in zip(columns, SCHEMA, strict=True)]
            writer.write_table(pa.Table.from_arrays(arrays, schema=SCHEMA))
            yield written.taken()
    yield written.taken()


class _Written(io.RawIOBase):
    """What a writer has written since it was last taken away. Parquet's footer needs to know how much there was in all."""

    def __init__(self) -> None:
        super().__init__()
        self._waiting: list[bytes] = []
        self._position = 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def write(self, data: Any) -> int:
        self._waiting.append(bytes(data))
        self._position += len(self._waiting[-1])
        return len(self._waiting[-1])

    def taken(self) -> bytes:
        taken, self._waiting = b"".join(self._waiting), []
        return taken


def _cells(row: Row) -> list[object]:
    cells = [getattr(row, name) for name in NAMES]
    return [_cell(name, value) for name, value in zip(NAMES, cells, strict=True)]


def _cell(name: str, value: object) -> object:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, str) and name not in SHOWN:  # of amounts the sign comes first
        return plain(value)
    return "" if value is None else value


def _together(items: Iterable[T], count: int) -> Iterator[list[T]]:
    rest = iter(items)
    while some := list(islice(rest, count)):
        yield some
