"""The books for an accountant: a trial balance at the end of a day, and the journal, two lines for each transfer.

A journal is written to a file a batch at a time, so that a million transfers need no more memory than a thousand.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import date
from itertools import islice
from typing import Any, BinaryIO, Final, cast

import pyarrow as pa
from django.conf import settings
from pyarrow import parquet

from store.backoffice.days import FIRST_DAY, MOVES, parts
from store.backoffice.period import DAY, Period
from store.hub.streaming import stream
from store.ledger.dollars import NANO_DIGITS, NANO_PER_DOLLAR
from store.ledger.models import Transfer, WalletKind
from store.ledger.sql import execute
from store.spreadsheet import line, plain

BATCH: Final = 5_000  # transfers in hand
COLUMNS: Final = ("transfer", "time", "key", "kind", "wallet", "account", "organization", "debit", "credit")
SCHEMA: Final = pa.schema([
    ("transfer", pa.int64()), ("time", pa.timestamp("us", tz="UTC")), *((name, pa.string()) for name in ("key", "kind")),
    ("wallet", pa.int64()), ("account", pa.string()), ("organization", pa.string()),
    ("debit", pa.decimal128(30, NANO_DIGITS)), ("credit", pa.decimal128(30, NANO_DIGITS)),
])  # fmt: skip


@dataclass(frozen=True, slots=True)
class Account:
    """One kind of wallet in a trial balance: everything that ever left its wallets, and entered them. Nano-dollars."""

    kind: str
    name: str
    debit_nano: int
    credit_nano: int

    @property
    def balance_nano(self) -> int:
        """What the wallets hold: what entered less what left."""
        return self.credit_nano - self.debit_nano

    @property
    def cells(self) -> tuple[str, str, str]:
        """Debit, credit and balance in dollars, to the nano-dollar."""
        return decimal(self.debit_nano), decimal(self.credit_nano), decimal(self.balance_nano)


def trial_balance(day: date) -> list[Account]:
    """Of the end of a day (UTC), one row for each kind of wallet; the last row is all of them, and its balance is zero."""
    found = {
        kind: (int(debit), int(credit))
        for kind, debit, credit in execute(
            f"SELECT wallet_kind, sum(debit_nano), sum(credit_nano) FROM ({MOVES}) AS m GROUP BY 1",
            *parts(Period(FIRST_DAY, day + DAY)),
        )
    }
    rows = [Account(kind.value, str(kind.label), *found.get(kind.value, (0, 0))) for kind in WalletKind]
    total = Account("total", "", sum(row.debit_nano for row in rows), sum(row.credit_nano for row in rows))
    return [*rows, total]


def trial_balance_csv(day: date) -> str:
    """The same as CSV."""
    names = ("date", "account", "debit", "credit", "balance")
    return "".join(map(line, [names, *((day, row.kind, *row.cells) for row in trial_balance(day))]))


def decimal(nano: int) -> str:
    """Dollars with nine digits, as a number: ``-1234.000000001``."""
    whole, fraction = divmod(abs(nano), NANO_PER_DOLLAR)
    return f"{'-' if nano < 0 else ''}{whole}.{fraction:0{NANO_DIGITS}d}"


def journal(period: Period) -> Iterator[list[tuple[Any, ...]]]:
    """Batches of lines in the order of the transfers: each leaves one account (its debit) and enters another (its credit)."""
    moved = (
        Transfer.objects.filter(created_at__gte=period.starts_at, created_at__lt=period.ends_at)
        .order_by("id")
        .values_list(
            "id", "created_at", "key", "kind", "amount_nano", "debit_id", "debit__kind", "debit__organization__slug",
            "credit_id", "credit__kind", "credit__organization__slug",
        )
    )  # fmt: skip
    rest = moved.iterator(chunk_size=BATCH)
    while batch := list(islice(rest, BATCH)):
        yield [line for row in batch for line in _lines(*row)]


def _lines(
    id: int, at: Any, key: str, kind: str, nano: int, debit: int, debit_kind: str, debit_of: str | None, credit: int, credit_kind: str,
    credit_of: str | None,
) -> tuple[tuple[Any, ...], tuple[Any, ...]]:  # fmt: skip
    amount = decimal(nano)
    return (
        (id, at, key, kind, debit, debit_kind, debit_of or "", amount, ""),
        (id, at, key, kind, credit, credit_kind, credit_of or "", "", amount),
    )


def write_csv(out: BinaryIO, period: Period) -> None:
    """Cells of words that a spreadsheet would run get a quote before them; amounts are never negative here."""
    out.write(line(COLUMNS).encode())
    for lines in journal(period):
        out.writelines(line([id, at.isoformat(), *map(plain, words)]).encode() for id, at, *words in lines)


def write_parquet(file: BinaryIO, period: Period) -> None:
    """The same lines as a table, a row group for each batch; amounts are decimals."""
    with parquet.ParquetWriter(file, SCHEMA, compression="zstd") as out:
        for lines in journal(period):
            columns: list[Any] = [list(column) for column in zip(*lines, strict=True)]
            arrays = [
                pa.array([cell or None for cell in column]).cast(field.type) if pa.types.is_decimal(field.type) else pa.array(column, field.type)
                for column, field in zip(columns, SCHEMA, strict=True)
            ]  # fmt: skip
            out.write_table(pa.Table.from_arrays(arrays, schema=SCHEMA))


WRITERS: Final = {"csv": write_csv, "parquet": write_parquet}


def written(period: Period, kind: str) -> BinaryIO:
    """A file with the journal, as ``csv`` or ``parquet``, that has no name: it is gone with whoever reads it."""
    file = cast(BinaryIO, tempfile.TemporaryFile(dir=settings.DATA_DIR))  # noqa: SIM115 - whoever sends it closes it
    try:
        WRITERS[kind](file, period)
        file.flush()
    except BaseException:
        file.close()
        raise
    return file


async def sent(file: BinaryIO) -> AsyncIterator[bytes]:
    """The file's bytes, a chunk at a time; then it is closed, also where the reader goes away meanwhile."""
    with file:
        async for chunk in stream(file.fileno(), 0, os.fstat(file.fileno()).st_size):
            yield chunk
