"""Whatever is lost, late, repeated or out of order between the store and Stripe: one effect, found again by its key."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import permutations

import pytest
from django.db import connection
from django.utils import timezone

from store.accounts.models import User
from store.billing.inbox import process_event
from store.billing.models import Quarantine, StripeEvent
from store.billing.stripe_client import StripeUnavailable
from store.payouts import sending
from store.payouts.accounts import start_onboarding
from store.payouts.models import ConnectAccount, Payout, PayoutStatus
from store.payouts.sending import advance
from store.sandbox import faults
from store.sandbox.models import IdempotentAnswer, StripeObject
from tests.conftest import DOLLAR
from tests.sandboxed import Till
from tests.store.payouts.conftest import balances, go_on
from tests.store.payouts.test_payouts import CLOSED, ask, rich

pytestmark = pytest.mark.django_db
CALLS = [
    ("POST", "/v1/transfers"), ("GET", "/v1/charges"), ("POST", "/v1/payouts"), ("GET", "/v1/payouts/"), ("GET", "/v1/transfers/"),
]  # fmt: skip


def until_it_ends(till: Till, payout: Payout) -> None:
    """The clock strikes until nothing is under way any more."""
    for _turn in range(12):
        go_on()
        till.bank()
        payout.refresh_from_db()
        if payout.status not in (PayoutStatus.PENDING, PayoutStatus.IN_FLIGHT):
            return
    raise AssertionError(payout.trouble)


def made(kind: str) -> int:
    return StripeObject.objects.filter(kind__regex=rf"(^|/){kind}$").count()


@pytest.mark.parametrize("times", ["1", "5"])
@pytest.mark.parametrize("kind", ["refuse", "lose", "drop", "busy"])
@pytest.mark.parametrize("call", CALLS)
def test_trouble_at_any_call_is_one_transfer_and_one_payout(
    till: Till, provider: User, account: ConnectAccount, call: tuple[str, str], kind: str, times: str
) -> None:
    rich(provider)
    payout = ask(provider)
    faults.add({"kind": kind, "method": call[0], "prefix": call[1], "remaining": times})
    until_it_ends(till, payout)
    assert payout.status == PayoutStatus.PAID
    assert (made("transfer"), made("payout"), made("transfer_reversal")) == (1, 1, 0)
    assert balances(provider.personal_organization) == (0, 0)


@pytest.mark.parametrize("kind", ["refuse", "lose", "drop"])
def test_trouble_at_a_reversal_is_one_reversal(till: Till, provider: User, kind: str) -> None:
    till.onboard(provider, number=CLOSED)
    rich(provider)
    payout = ask(provider)
    faults.add({"kind": kind, "method": "POST", "prefix": "/v1/transfers/", "remaining": "5"})
    until_it_ends(till, payout)
    assert (payout.status, payout.failure_code) == (PayoutStatus.FAILED, "account_closed")
    assert (made("transfer"), made("payout"), made("transfer_reversal")) == (1, 1, 1)
    assert balances(provider.personal_organization) == (100 * DOLLAR, 0)


@pytest.mark.parametrize("path", ["/v1/transfers", "/v1/payouts"])
def test_an_answer_that_was_lost_is_found_when_stripe_has_forgotten_the_key(
    till: Till, provider: User, account: ConnectAccount, path: str
) -> None:
    rich(provider)
    payout = ask(provider)
    faults.add({"kind": "lose", "method": "POST", "prefix": path, "remaining": "3"})
    go_on()
    IdempotentAnswer.objects.all().delete()
    until_it_ends(till, payout)
    assert payout.status == PayoutStatus.PAID
    assert (made("transfer"), made("payout")) == (1, 1)


def test_a_platform_without_the_money_waits_for_it(till: Till, provider: User, account: ConnectAccount) -> None:
    rich(provider)
    payout = ask(provider)
    faults.add({"kind": "poor", "method": "POST", "prefix": "/v1/transfers", "remaining": "2"})
    go_on()
    payout.refresh_from_db()
    assert payout.status == PayoutStatus.IN_FLIGHT
    assert "insufficient available funds" in payout.trouble
    until_it_ends(till, payout)
    assert (payout.status, payout.trouble, made("transfer")) == (PayoutStatus.PAID, "", 1)


@pytest.mark.parametrize("step", ["_sent_to_bank", "_take_back", "give_back", "settle_paid"])
def test_a_process_that_dies_between_two_steps_is_gone_on_for(
    till: Till, provider: User, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    is_good = step in ("_sent_to_bank", "settle_paid")
    till.onboard(provider, **({} if is_good else {"number": CLOSED}))
    rich(provider)
    payout = ask(provider)

    def die(*_args: object, **_named: object) -> None:
        raise SystemExit

    with monkeypatch.context() as killing:
        killing.setattr(sending, step, die)
        for _turn in range(2):
            Payout.objects.update(due_at=timezone.now())
            try:
                advance(payout.pk)
            except SystemExit:
                break
            till.bank()
    until_it_ends(till, payout)
    assert payout.status == (PayoutStatus.PAID if is_good else PayoutStatus.FAILED)
    assert payout.failure_code == ("" if is_good else "account_closed")
    assert (made("transfer"), made("payout"), made("transfer_reversal")) == (1, 1, 0 if is_good else 1)


@pytest.mark.parametrize("kind", ["refuse", "lose", "drop", "busy"])
@pytest.mark.parametrize("path", ["/v1/accounts", "/v1/account_links"])
def test_trouble_while_an_account_is_made_is_one_account(till: Till, provider: User, path: str, kind: str) -> None:
    faults.add({"kind": kind, "method": "POST", "prefix": path, "remaining": "4"})
    for _turn in range(6):
        try:
            start_onboarding(organization=provider.personal_organization, user=provider)
        except StripeUnavailable:
            continue
    assert made("account") == 1
    assert ConnectAccount.objects.get().stripe_id == StripeObject.objects.get(kind="account").pk


def test_events_come_in_any_order_and_again(till: Till, provider: User, account: ConnectAccount) -> None:
    rich(provider)
    payout = ask(provider)
    go_on()
    till.bank()
    till.deliver()
    payout.refresh_from_db()
    till.bank_returns(payout)
    events = [each["id"] for each in till.events() if each["type"].startswith(("payout.", "transfer."))]
    till.deliver()
    assert len(events) >= 4
    for order in permutations(events[:4]):
        for event_id in order:
            StripeEvent.objects.filter(pk=event_id).update(processed_at=None, due_at="2000-01-01T00:00Z")
            process_event(event_id)
    payout.refresh_from_db()
    assert payout.status == PayoutStatus.REVERSED
    assert balances(provider.personal_organization) == (100 * DOLLAR, 0)
    assert not Quarantine.objects.exists()


def test_an_event_of_an_account_that_is_not_ours_is_shown_and_not_acted_on(
    till: Till, provider: User, account: ConnectAccount
) -> None:
    for event in till.events():
        if event["type"] == "account.updated":
            till.change(event["id"], account="acct_other")
    till.deliver()
    assert Quarantine.objects.get().found == "acct_other"


@pytest.mark.django_db(transaction=True)
def test_the_same_webhook_fifty_times_in_parallel_pays_once(
    till: Till, provider: User, account: ConnectAccount
) -> None:
    rich(provider)
    payout = ask(provider)
    go_on()
    till.bank()
    faults.add({"kind": "refuse", "method": "GET", "remaining": "1000"})
    till.deliver()  # it is told, and Stripe does not answer
    faults.Fault.objects.all().delete()
    [paid] = [each["id"] for each in till.events() if each["type"] == "payout.paid"]
    payout.refresh_from_db()
    assert payout.status == PayoutStatus.IN_FLIGHT

    def arrive(_turn: int) -> None:
        try:
            StripeEvent.objects.filter(pk=paid).update(processed_at=None, due_at="2000-01-01T00:00Z")
            process_event(paid)
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(arrive, range(50)))
    payout.refresh_from_db()
    assert payout.status == PayoutStatus.PAID
    assert balances(provider.personal_organization) == (0, 0)
