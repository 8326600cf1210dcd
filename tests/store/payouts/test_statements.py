"""A statement equals the ledger to the unit, run by run, in every form."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow.parquet as pq
import pytest
from asgiref.sync import async_to_sync
from django.test import Client

from store.accounts.models import Membership, Organization, Role, TokenScope, User
from store.catalog.models import Listing
from store.ledger.actions import store_wallet, wallet_of
from store.ledger.earnings import claw_back
from store.ledger.models import Transfer, TransferKind, WalletKind
from store.payouts.actions import request_payout
from store.payouts.history import first_transfer
from store.payouts.models import ConnectAccount
from store.payouts.statements.files import NAMES, as_csv, as_parquet
from store.payouts.statements.pdf import as_pdf
from store.payouts.statements.period import Period, month_of, parse_period
from store.payouts.statements.rows import CLOSING, OPENING, Row, statement_rows
from store.payouts.statements.summary import summary
from store.runs.models import Run
from store.spreadsheet import plain
from tests.conftest import DOLLAR, make_user
from tests.sandboxed import Till
from tests.store.api.management.test_webhooks import of
from tests.store.console.conftest import MakeRun, make_run
from tests.store.derivatives import made_from, set_royalty
from tests.store.payouts.conftest import earn, go_on, pass_days

__all__ = ["make_run"]
pytestmark = pytest.mark.django_db
TODAY = datetime.now(UTC).date()
ALL = Period(TODAY - timedelta(days=40), TODAY + timedelta(days=1))


@pytest.fixture
def seller(till: Till, provider: User, account: ConnectAccount, listing: Listing, make_run: MakeRun) -> Organization:
    """Has old earnings, of which part was paid out, calls of today, a royalty, and had something clawed back."""
    organization: Organization = provider.personal_organization
    earn(organization, 40 * DOLLAR + 7)
    pass_days(30)
    request_payout(organization=organization, user=provider, amount_nano=25 * DOLLAR)
    go_on()
    till.bank()
    till.deliver()
    make_run()
    set_royalty(listing, 100_000)
    make_run(of=made_from(listing, make_user("maker"), "tuned"))
    claw_back(
        key="claw", organization_id=organization.pk, credit_id=store_wallet(WalletKind.PLATFORM).pk, at_most_nano=1_000
    )
    return organization


def posted(organization: Organization) -> int:
    return wallet_of(organization.pk, WalletKind.EARNINGS).posted_nano


def rows_of(organization: Organization, period: Period = ALL) -> list[Row]:
    return list(statement_rows(organization, period))


def test_rows_are_the_transfers_and_end_at_the_balance(seller: Organization) -> None:
    rows = rows_of(seller)
    wallet = wallet_of(seller.pk, WalletKind.EARNINGS)
    moved = Transfer.objects.filter(credit=wallet) | Transfer.objects.filter(debit=wallet)
    assert [row.reference for row in rows[1:-1]] == list(moved.order_by("id").values_list("key", flat=True))
    assert (rows[0].kind, rows[0].balance_nano, rows[-1].kind) == (OPENING, 0, CLOSING)
    assert rows[-1].balance_nano == posted(seller) == sum(row.amount_nano for row in rows)
    assert [row.kind for row in rows[1:-1]] == ["usage", "payout", "usage", "royalty", "clawback"]


def test_a_run_has_its_tokens_its_charge_and_every_share(seller: Organization) -> None:
    [own] = [row for row in rows_of(seller) if row.kind == "usage" and row.run_id]
    run = Run.objects.get(pk=own.run_id)
    assert (own.listing, own.prompt_tokens, own.output_tokens) == ("provider/bard", 100, 50)
    assert (
        own.charge_nano == run.charge_nano == (own.commission_nano or 0) + (own.royalties_nano or 0) + own.amount_nano
    )
    [royalty] = [row for row in rows_of(seller) if row.kind == "royalty"]
    assert royalty.listing == "maker/tuned"
    assert royalty.amount_nano == (royalty.charge_nano or 0) // 10
    assert royalty.royalties_nano is None


def test_the_name_of_anothers_private_model_is_not_told(seller: Organization) -> None:
    Listing.objects.filter(slug="tuned").update(is_private=True)
    assert [row.listing for row in rows_of(seller) if row.kind == "royalty"] == [""]
    Listing.objects.filter(slug="bard").update(is_private=True)
    assert [row.listing for row in rows_of(seller) if row.kind == "usage" and row.run_id] == ["provider/bard"]


def test_any_two_times_that_meet_have_one_balance_between_them(seller: Organization) -> None:
    for days in (0, 1, 5, 29, 30, 31):
        day = TODAY - timedelta(days=days)
        before = rows_of(seller, Period(ALL.first, day - timedelta(days=1)))
        after = rows_of(seller, Period(day, ALL.last))
        assert before[-1].balance_nano == after[0].balance_nano
        assert after[-1].balance_nano == posted(seller)


def test_the_sums_are_those_of_the_rows(seller: Organization) -> None:
    for period in (ALL, month_of(TODAY), Period(TODAY, TODAY)):
        rows, found = rows_of(seller, period), summary(seller, period)
        assert (found.opening_nano, found.closing_nano) == (rows[0].balance_nano, rows[-1].balance_nano)
        for line in found.kinds:
            of_kind = [row for row in rows if row.kind == line.kind]
            assert (line.count, line.amount_nano) == (len(of_kind), sum(row.amount_nano for row in of_kind))
    assert [payout.sent_nano for payout in summary(seller, ALL).payouts] == [25 * DOLLAR]


def test_who_never_earned_has_a_statement_of_nothing(consumer: User) -> None:
    rows = rows_of(consumer.personal_organization)
    assert [(row.kind, row.balance_nano) for row in rows] == [(OPENING, 0), (CLOSING, 0)]
    assert summary(consumer.personal_organization, ALL).closing_nano == 0


def test_csv_and_parquet_say_the_same(seller: Organization) -> None:
    rows = rows_of(seller)
    text = b"".join(as_csv(seller, ALL)).decode("utf-8-sig")
    said = list(csv.DictReader(io.StringIO(text)))
    assert list(said[0]) == NAMES
    assert [int(row["amount_nano"]) for row in said] == [row.amount_nano for row in rows]
    assert said[1]["amount_usd"] == "40.000000007"
    assert said[2]["amount_usd"] == "-25.000000000"
    assert said[1]["time"].endswith("+00:00")
    table = pq.read_table(io.BytesIO(b"".join(as_parquet(seller, ALL))))
    for field in fields(Row):
        assert table[field.name].to_pylist() == [getattr(row, field.name) for row in rows]


def test_parquet_of_several_row_groups_is_whole(seller: Organization, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("store.payouts.statements.files.GROUP", 2)
    file = pq.ParquetFile(io.BytesIO(b"".join(as_parquet(seller, ALL))))
    assert file.num_row_groups == 4
    assert file.read().num_rows == 7


def test_rows_are_made_as_they_are_asked_for(seller: Organization, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("store.payouts.statements.files.LINES", 1)
    chunks = as_csv(seller, ALL)
    assert isinstance(chunks, Iterator)
    assert [len(chunk.decode("utf-8-sig").splitlines()) for chunk in chunks] == [0, *[1] * 8]


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\tx", "\rx"])
def test_no_text_is_taken_for_a_formula(text: str) -> None:
    assert plain(text) == f"'{text}"


def test_the_paper_has_names_of_any_script_and_runs_nothing_that_is_in_them(seller: Organization) -> None:
    seller.name = '墨 & Søn "#panic()" $x$ \\ *b*'
    made = as_pdf(seller, ALL)
    assert made.startswith(b"%PDF-")
    assert len(re.findall(rb"/Type\s*/Page\b", made)) >= 1


@pytest.mark.parametrize("name", ["2026-13", "2026-1", "x", "2026-11-03_x", "0001-01", "2026-11-03_"])
def test_a_time_that_is_none_is_not_there(seller: Organization, provider: User, client: Client, name: str) -> None:
    client.force_login(provider)
    assert client.get(f"/provider/statements/{name}.csv").status_code == 404
    assert client.get("/provider/statements/2026-11.exe").status_code == 404


def test_the_name_of_a_time_is_read_again() -> None:
    for period in (ALL, month_of(TODAY), Period(TODAY, TODAY)):
        assert parse_period(period.name) == period


def test_the_first_transfer_of_a_time_is_found_by_halving(provider: User) -> None:
    organization = provider.personal_organization
    for _turn in range(9):
        earn(organization, 1)
        pass_days(1)
    ids = list(Transfer.objects.order_by("id").values_list("id", flat=True))
    now = datetime.now(UTC)
    for back in range(10):
        moment = now - timedelta(days=back, hours=-2)
        expected = [id for id, at in Transfer.objects.values_list("id", "created_at") if at >= moment]
        assert first_transfer(moment) <= min(expected, default=ids[-1] + 1)
    assert first_transfer(now + timedelta(days=1)) == ids[-1] + 1


def whole(answer: Any) -> bytes:
    async def read() -> bytes:
        return b"".join([chunk async for chunk in answer.streaming_content])

    return async_to_sync(read)()


@pytest.mark.django_db(transaction=True)
def test_files_are_sent_by_page_and_api(seller: Organization, provider: User, client: Client) -> None:
    client.force_login(provider)
    shown = client.get("/provider/statements").content.decode()
    assert f"/provider/statements/{TODAY:%Y-%m}.parquet" in shown
    assert "Closing balance" in shown
    asked = client.get("/provider/statements", {"first": str(ALL.first), "last": str(ALL.last), "extension": "csv"})
    at = f"/provider/statements/{ALL.name}.csv"
    assert asked["location"] == at
    answer = client.get(at)
    assert answer["content-disposition"] == f'attachment; filename="statement-provider-{ALL.name}.csv"'
    body = whole(answer)
    assert body == b"".join(as_csv(seller, ALL))
    api = of(provider, TokenScope.READ)
    assert whole(api.get(f"/api/statements/{ALL.name}.csv")) == body
    assert whole(api.get(f"/api/statements/{ALL.name}.parquet")).startswith(b"PAR1")
    assert api.get(f"/api/statements/{ALL.name}.pdf").content.startswith(b"%PDF-")
    months = api.get("/api/statements").json()
    assert months[0] == {
        "period": f"{TODAY:%Y-%m}",
        "first": str(month_of(TODAY).first),
        "last": str(month_of(TODAY).last),
    }
    sums = api.get(f"/api/statements/{ALL.name}").json()
    assert (sums["opening_nano"], sums["closing_nano"]) == (0, posted(seller))
    assert api.get(f"/api/statements/{TODAY}_{ALL.first}.csv").json()["error"]["param"] == "last"


def test_royalties_are_told_run_by_run(seller: Organization, provider: User) -> None:
    api = of(provider, TokenScope.READ)
    [told] = api.get("/api/royalties").json()["results"]
    run = Run.objects.get(pk=told["run_id"])
    assert (told["listing"], told["charge_nano"]) == ("maker/tuned", run.charge_nano)
    assert told["royalty_nano"] == Transfer.objects.get(kind=TransferKind.ROYALTY).amount_nano
    assert api.get(f"/api/royalties?since={TODAY + timedelta(days=2)}T00:00:00Z").json()["results"] == []
    assert len(api.get(f"/api/royalties?until={TODAY + timedelta(days=2)}T00:00:00Z").json()["results"]) == 1


def test_others_see_no_statement(seller: Organization, stranger: User, client: Client) -> None:
    client.force_login(stranger)
    api = of(stranger, TokenScope.READ)
    for status in (404, 403):
        for at in ("statements", f"statements/{ALL.name}", f"statements/{ALL.name}.csv", "royalties"):
            assert api.get(f"/api/{at}?organization=provider").status_code == status
        Membership.objects.get_or_create(organization=seller, user=stranger, defaults={"role": Role.DEVELOPER})
    session = client.session
    session["organization"] = seller.pk
    session.save()
    assert client.get("/provider/statements").status_code == 403
    assert client.get(f"/provider/statements/{ALL.name}.csv").status_code == 403


def test_before_the_first_earnings_the_page_says_so(provider: User, client: Client) -> None:
    client.force_login(provider)
    assert "Nothing was earned yet" in client.get("/provider/statements").content.decode()
    wrong = client.get("/provider/statements", {"first": "2026-11-05", "last": "2026-11-01", "extension": "csv"})
    assert (wrong.status_code, "The last day is before the first." in wrong.content.decode()) == (422, True)
