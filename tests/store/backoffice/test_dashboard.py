"""Every figure of the dashboard is the sum of the rows that it links to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from django.db import connection
from django.db.models import Sum
from django.test import Client
from django.utils import timezone

from store.accounts.models import User
from store.backoffice.actions import Wish, request_action
from store.backoffice.customers import LOST, NEW, PAYING, RETURNING, customers
from store.backoffice.days import keep_days
from store.backoffice.figures import Figure
from store.backoffice.models import ActionKind, LedgerDay, WalletDay
from store.backoffice.period import DAY, Period
from store.billing.models import Quarantine, QuarantineReason
from store.billing.quarantines import resolve
from store.keys.actions import IssuedKey
from store.ledger.actions import NewHold, place_holds, store_wallet, wallet_of
from store.ledger.audit import audit
from store.ledger.models import Transfer, TransferKind, Wallet, WalletKind
from store.reputation.rollup import roll_up
from store.runs.actions import open_runs, settle_runs
from store.runs.books import SettleRun
from store.runs.models import RunStatus
from tests.sandboxed import DISPUTED, Till
from tests.store.backoffice.conftest import SignedIn
from tests.store.runs.conftest import RequestMaker, gateway_id, request_of

__all__ = ["gateway_id", "request_of"]
pytestmark = pytest.mark.django_db
DOLLAR = 10**9
TODAY = datetime.now(UTC).date()


def sell(buyer: User, seller: User, nano: int, *, days_ago: int = 0) -> None:
    """A call's three transfers, at noon of a day that is over, or now."""
    credit = wallet_of(buyer.personal_organization.pk, WalletKind.CREDIT)
    earnings = wallet_of(seller.personal_organization.pk, WalletKind.EARNINGS)
    name = uuid4()
    for kind, to, part in (
        (TransferKind.USAGE, earnings, nano - nano // 5),
        (TransferKind.ROYALTY, earnings, nano // 20),
        (TransferKind.COMMISSION, store_wallet(WalletKind.PLATFORM), nano // 5 - nano // 20),
    ):
        put(f"call:{name}:{kind}", credit, to, part, kind, days_ago=days_ago)


def put(key: str, debit: Wallet, credit: Wallet, nano: int, kind: TransferKind, *, days_ago: int = 0) -> None:
    """A transfer of another day: the ledger's own verb moves money now only."""
    at = timezone.now() - timedelta(days=days_ago)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO ledger_transfer (key, debit_id, credit_id, amount_nano, kind, created_at) VALUES (%s, %s, %s, %s, %s, %s)",
            [key, debit.pk, credit.pk, nano, kind, at],
        )


@pytest.fixture
def history(consumer: User, stranger: User, provider: User, wallet: Wallet) -> None:
    """Sales of four months, some of them of today; everybody has been given enough."""
    bank = store_wallet(WalletKind.BANK)
    for user in (consumer, stranger):
        credit = wallet_of(user.personal_organization.pk, WalletKind.CREDIT)
        put(f"topup:{uuid4()}", bank, credit, 100 * DOLLAR, TransferKind.TOPUP, days_ago=120)
    for days_ago in (0, 0, 1, 5, 29, 30, 31, 59, 60, 100):
        sell(consumer, provider, 1_234_567_891 + days_ago, days_ago=days_ago)
    for days_ago in (40, 45):
        sell(stranger, provider, 777_777_777, days_ago=days_ago)


def figures(client: Client, **query: str) -> dict[str, Figure]:
    context = client.get("/admin/", query).context
    return {figure.key: figure for _name, group in context["groups"] for figure in group}


FIELDS = {"ledger_transfer": "amount_nano", "ledger_wallet": "posted_nano", "runs_run": "charge_nano"}


def check_rows(client: Client, figure: Figure) -> None:
    """A straight sum over the rows of the list to which it leads."""
    answer = client.get(figure.url)
    assert answer.status_code == 200, figure.url
    rows = answer.context["cl"].queryset
    if figure.nano is not None:
        field = FIELDS.get(rows.model._meta.db_table, "amount_nano")
        assert (rows.aggregate(sum=Sum(field))["sum"] or 0) == figure.nano, figure.key
    if figure.count is not None:
        assert rows.count() == figure.count, figure.key


@pytest.mark.usefixtures("history")
@pytest.mark.parametrize("kept", [False, True], ids=["from transfers", "from days"])
@pytest.mark.parametrize(
    "query",
    [
        {},
        {"period": "today"},
        {"period": "365"},
        {"period": "last_month"},
        {"period": "90", "money": "live"},
        {"period": "90", "money": "test"},
        {"period": "custom", "since": str(TODAY - 59 * DAY), "until": str(TODAY - 5 * DAY)},
    ],
    ids=str,
)
def test_every_figure_is_the_sum_of_its_rows(
    accountant: User, signed_in: SignedIn, kept: bool, query: dict[str, str]
) -> None:
    if kept:
        keep_days()
        assert WalletDay.objects.exists()
    client = signed_in(accountant)
    found = figures(client, **query)
    assert found["volume"].nano
    for figure in found.values():
        check_rows(client, figure)
    context = client.get("/admin/", query).context
    for chart in context["charts"]:
        drawn = [figure for part in chart.parts for figure in part.figures if figure.nano]
        assert sum(figure.nano or 0 for figure in drawn) == sum(
            found[key].nano or 0 for key in {one.key for one in drawn}
        )
        for figure in [*drawn[:2], *drawn[-2:]]:
            check_rows(client, figure)
    for name, ranked in context["ranks"]:
        for one in ranked:
            check_rows(client, Figure(key=str(name), name=name, nano=one.nano, url=one.url))


@pytest.mark.usefixtures("history")
def test_a_figure_counts_what_moved_after_the_days_were_kept(
    accountant: User, signed_in: SignedIn, consumer: User, provider: User
) -> None:
    client = signed_in(accountant)
    before = figures(client, period="365")["volume"].nano
    keep_days()
    assert figures(client, period="365")["volume"].nano == before
    sell(consumer, provider, DOLLAR)
    assert figures(client, period="365")["volume"].nano == (before or 0) + DOLLAR


@pytest.mark.usefixtures("history")
def test_days_are_kept_once_can_be_made_again_and_are_audited() -> None:
    assert keep_days()
    assert keep_days() == 0
    kept = everything_kept()
    assert all(row["day"] < TODAY for row in kept)
    assert damaged() == []
    LedgerDay.objects.filter(pk=LedgerDay.objects.earliest("pk").pk).update(debit_nano=5)
    WalletDay.objects.filter(pk=WalletDay.objects.earliest("pk").pk).delete()
    assert sorted(damaged()) == ["days of a wallet", "days of the ledger"]
    keep_days(rebuild=True)
    assert kept == everything_kept()


def damaged() -> list[str]:
    return [one.check for one in audit() if one.check.startswith("days of")]


def everything_kept() -> list[dict[str, object]]:
    rows = [row for model in (LedgerDay, WalletDay) for row in model._default_manager.order_by("day", "pk").values()]
    return sorted(({name: value for name, value in row.items() if name != "id"} for row in rows), key=str)


def test_runs_refunds_disputes_grants_and_holds_are_where_they_belong(
    till: Till,
    accountant: User,
    operator: User,
    consumer: User,
    signed_in: SignedIn,
    request_of: RequestMaker,
    wallet: Wallet,
) -> None:
    paid, disputed = till.buy(consumer), till.buy(consumer, dollars=7, card=DISPUTED)
    till.deliver()
    till.v1.refunds.create({"payment_intent": till.intent(paid), "amount": 300})
    lost = till.buy(consumer, dollars=4)
    till.deliver()
    till.decide(till.dispute(lost), won=False)
    till.deliver()
    request_action(
        wish=Wish(
            kind=ActionKind.GRANT,
            organization=consumer.personal_organization,
            amount_nano=DOLLAR,
            reason="Sorry.",
            days=9,
            note="Sorry.",
        ),
        user=operator,
    )
    run = request_of()
    open_runs([run])
    settle_runs([SettleRun(run_id=run.run_id, status=RunStatus.SUCCEEDED, output_tokens=50)])
    roll_up()
    now = timezone.now()
    place_holds(
        [
            NewHold(id=uuid4(), wallet_id=wallet.pk, amount_nano=n + 2, expires_at=now + n * timedelta(hours=1))
            for n in (-1, 1)
        ]
    )
    for number in (1, 2):
        Quarantine.objects.create(object_id=f"pi_{number}", reason=QuarantineReason.UNKNOWN, expected="a", found="b")
    resolve(row=Quarantine.objects.get(object_id="pi_2"), user=operator, words="Refunded at Stripe.")
    client = signed_in(accountant)
    found = figures(client)
    expected = {
        "topups": (10 + 25 + 7 + 4) * DOLLAR, "refunds": 3 * DOLLAR, "disputes_lost": 4 * DOLLAR, "granted": DOLLAR,
        "disputes": disputed.amount_nano, "disputed": disputed.amount_nano, "volume": 30_000, "commission": 4_500,
    }  # fmt: skip
    assert {key: found[key].nano for key in expected} == expected
    assert (found["holds"].nano, found["old_holds"].nano) == (4, 1)
    assert (found["quarantine"].count, found["old_holds"].alarm, found["disputes"].alarm) == (1, True, True)
    for figure in [*found.values(), *figures(client, money="live").values()]:
        check_rows(client, figure)
    (name, ranked), *_more = client.get("/admin/").context["ranks"]
    assert [(str(name), one.name, one.nano) for one in ranked] == [("Models", "provider/bard", 30_000)]
    check_rows(client, Figure(key="listing", name="", nano=30_000, url=ranked[0].url))


@pytest.mark.usefixtures("history")
def test_customers_are_new_returning_or_lost(consumer: User, stranger: User, provider: User) -> None:
    mine, theirs = consumer.personal_organization.pk, stranger.personal_organization.pk
    for keep in (False, True):
        if keep:
            keep_days()
        month = customers(Period(TODAY - 29 * DAY, TODAY + DAY))
        assert (month[NEW], month[RETURNING], month[LOST]) == (set(), {mine}, {theirs})
        earlier = customers(Period(TODAY - 59 * DAY, TODAY - 29 * DAY))
        assert (earlier[NEW], earlier[RETURNING], earlier[PAYING]) == ({theirs}, {mine}, {mine, theirs})


def test_a_store_in_which_nothing_happened_has_a_dashboard(accountant: User, signed_in: SignedIn) -> None:
    client = signed_in(accountant)
    assert figures(client)["volume"].nano == 0
    for figure in figures(client).values():
        check_rows(client, figure)


def test_a_period_that_is_none_is_refused_in_words(accountant: User, signed_in: SignedIn) -> None:
    client = signed_in(accountant)
    for query in (
        {"period": "custom", "since": "2026-02-30", "until": "2026-03-01"},
        {"period": "custom", "since": "2026-03-01", "until": "2026-02-01"},
        {"period": "custom"},
        {"period": "never"},
        {"period": "custom", "since": "0001-01-01", "until": "9999-12-31"},
    ):
        answer = client.get("/admin/", query)
        assert answer.status_code == 200
        assert answer.context["form"].errors
    assert not client.get("/admin/backoffice/payingcustomer/?standing=lost:0001-01-01:never").context["cl"].queryset


def test_staff_who_may_not_see_the_books_see_none_of_it(
    signed_in: SignedIn, moderator: User, issued_key: IssuedKey
) -> None:
    User.objects.filter(pk=moderator.pk).update(is_staff=True)
    moderator.refresh_from_db()
    answer = signed_in(moderator).get("/admin/")
    assert answer.status_code == 200
    assert "groups" not in answer.context
    assert Transfer.objects.exists()
