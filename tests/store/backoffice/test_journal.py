"""What an accountant takes home: a trial balance that is zero, and a journal whose every line is a leg of a transfer."""

from __future__ import annotations

import csv
import io
import tracemalloc
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.db import connection
from django.urls import reverse
from pyarrow import parquet

from store.accounts.models import User
from store.backoffice.days import keep_days
from store.backoffice.journal import decimal, trial_balance, write_csv, write_parquet
from store.backoffice.period import DAY, Period
from store.ledger.models import Transfer, Wallet, WalletKind
from tests.store.backoffice.conftest import SignedIn
from tests.store.backoffice.test_dashboard import TODAY, history

__all__ = ["history"]
pytestmark = pytest.mark.django_db
ALL = Period(TODAY - 365 * DAY, TODAY + DAY)
EXPORTS = "admin:backoffice_ledgerday_exports"


@pytest.mark.usefixtures("history")
@pytest.mark.parametrize("kept", [False, True])
def test_a_trial_balance_is_that_of_the_wallets_and_adds_up_to_zero(kept: bool) -> None:
    if kept:
        keep_days()
    *rows, total = trial_balance(TODAY)
    posted = {kind: sum(Wallet.objects.filter(kind=kind).values_list("posted_nano", flat=True)) for kind in WalletKind}
    assert {row.kind: row.balance_nano for row in rows} == posted
    assert (total.balance_nano, total.debit_nano) == (0, sum(Transfer.objects.values_list("amount_nano", flat=True)))
    *_rows, then = trial_balance(TODAY - 30 * DAY)
    assert 0 < then.debit_nano < total.debit_nano
    assert then.balance_nano == 0


@pytest.mark.usefixtures("history")
def test_a_journal_has_two_lines_for_each_transfer_in_either_format(tmp_path: Path) -> None:
    with (tmp_path / "j.csv").open("wb") as out:
        write_csv(out, ALL)
    lines = list(csv.DictReader(io.StringIO((tmp_path / "j.csv").read_text())))
    transfers = list(Transfer.objects.order_by("id").values_list("id", "key", "amount_nano"))
    assert [(int(line["transfer"]), line["key"], line["debit"] or line["credit"]) for line in lines] == [
        (id, key, decimal(nano)) for id, key, nano in transfers for _leg in range(2)
    ]
    assert sum(Decimal(line["debit"] or 0) - Decimal(line["credit"] or 0) for line in lines) == 0
    with (tmp_path / "j.parquet").open("wb") as out:
        write_parquet(out, ALL)
    table = parquet.read_table(tmp_path / "j.parquet").to_pylist()
    assert [
        (row["transfer"], row["wallet"], row["organization"], row["debit"], row["credit"]) for row in table
    ] == [
        (int(line["transfer"]), int(line["wallet"]), line["organization"], *(Decimal(line[side]) if line[side] else None for side in ("debit", "credit")))
        for line in lines
    ]  # fmt: skip


def test_no_cell_is_a_formula(tmp_path: Path, wallet: Wallet, consumer: User) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE accounts_organization SET slug = '-cmd' WHERE id = %s", [consumer.personal_organization.pk]
        )
    with (tmp_path / "j.csv").open("wb") as out:
        write_csv(out, ALL)
    cells = [cell for row in csv.reader(io.StringIO((tmp_path / "j.csv").read_text())) for cell in row]
    assert "'-cmd" in cells
    assert [cell for cell in cells if cell.startswith(("=", "+", "-", "@"))] == []


def test_memory_does_not_grow_with_the_journal(tmp_path: Path, wallet: Wallet, provider: User) -> None:
    def peak(rows: int) -> int:
        with connection.cursor() as cursor:
            cursor.execute(
                """INSERT INTO ledger_transfer (key, debit_id, credit_id, amount_nano, kind, created_at)
                   SELECT 'x:' || gen_random_uuid(), %s, %s, 1, 'correction', now() - interval '3 days' FROM generate_series(1, %s)""",
                [Wallet.objects.get(kind="test_bank").pk, wallet.pk, rows],
            )
        peaks = []
        for write in (write_csv, write_parquet):
            tracemalloc.start()
            with (tmp_path / "j").open("wb") as out:
                write(out, ALL)
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
        return max(peaks)

    few = peak(10_000)
    assert peak(30_000) < 1.3 * few


async def read(answer: Any) -> bytes:
    return b"".join([chunk async for chunk in answer.streaming_content])


@pytest.mark.usefixtures("history")
def test_files_come_from_the_page_to_those_who_may_see_the_books(
    accountant: User, moderator: User, signed_in: SignedIn
) -> None:
    client = signed_in(accountant)
    page = client.get(reverse(EXPORTS))
    assert page.status_code == 200
    assert page.context["accounts"][-1].balance_nano == 0
    balance = client.get(reverse(EXPORTS), {"period": "today", "file": "balance"}).content.decode()
    assert balance.splitlines()[-1].endswith(",0.000000000")
    for kind, begin in (("csv", b"transfer,time,key"), ("parquet", b"PAR1")):
        answer = client.get(reverse(EXPORTS), {"period": "365", "file": kind})
        assert f"journal-{TODAY - 364 * DAY}_{TODAY}.{kind}" in answer["Content-Disposition"]
        assert async_to_sync(read)(answer).startswith(begin)
    assert client.get(reverse(EXPORTS), {"file": "exe"}).context["form"].errors
    User.objects.filter(pk=moderator.pk).update(is_staff=True)
    moderator.refresh_from_db()
    assert signed_in(moderator).get(reverse(EXPORTS), {"file": "csv"}).status_code == 403
