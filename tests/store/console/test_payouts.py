"""The pages of payouts: what is there to be paid, who is paid, and what was."""

from __future__ import annotations

from uuid import uuid4

import pytest
from django.test import Client

from store.accounts.models import Membership, Role, User
from store.ledger.models import TransferKind
from store.payouts.models import AccountState, ConnectAccount, Payout, PayoutSchedule, PayoutStatus
from store.sandbox import faults, onboarding
from store.sandbox.models import StripeObject
from store.sandbox.resources import accounts as at_stripe
from tests.conftest import DOLLAR
from tests.sandboxed import Till, till
from tests.store.payouts.conftest import earn, go_on, pass_days

__all__ = ["till"]
pytestmark = pytest.mark.django_db
AT = "/provider/payouts"


def page(browser: Client, at: str = AT) -> str:
    answer = browser.get(at)
    assert answer.status_code == 200
    return answer.content.decode()


def test_before_anything_the_page_says_what_to_do(seller: Client) -> None:
    shown = page(seller)
    assert "No payout yet" in shown
    assert "Set up payouts" in shown
    assert "Pay out now" not in shown


def test_a_provider_is_sent_to_stripe_and_comes_back_half_way_and_then_done(till: Till, seller: Client) -> None:
    answer = seller.post(f"{AT}/onboard")
    assert answer.status_code == 303
    token = answer["location"].rpartition("/connect/")[2]
    assert "Step 1 of 2" in onboarding.begin(token).body
    onboarding.answer(token, {"action": "identity", "name": "Ada & Søn", "country": "DE"})
    back = onboarding.answer(token, {"action": "later"})
    assert (back.status, back.headers["location"]) == (303, f"http://127.0.0.1:8000{AT}/return")
    assert seller.get(f"{AT}/return").status_code == 302
    assert "The page was not finished" in page(seller)
    again = onboarding.begin(token)  # an address works once
    assert (again.status, again.headers["location"]) == (303, f"http://127.0.0.1:8000{AT}/continue")
    token = seller.get(f"{AT}/continue")["location"].rpartition("/connect/")[2]
    assert "Step 2 of 2" in onboarding.begin(token).body
    onboarding.answer(token, {"action": "bank", "number": onboarding.WORKS})
    seller.get(f"{AT}/return")
    shown = page(seller)
    assert "Stripe pays you in EUR, in DE" in shown
    assert "Pay out now" in shown
    assert ConnectAccount.objects.count() == 1


def test_who_does_not_agree_is_not_ready_and_who_is_rejected_is_told_so(till: Till, seller: Client) -> None:
    token = seller.post(f"{AT}/onboard")["location"].rpartition("/connect/")[2]
    onboarding.begin(token)
    onboarding.answer(token, {"action": "decline"})
    seller.get(f"{AT}/return")
    assert ConnectAccount.objects.get().state == AccountState.INCOMPLETE
    token = seller.post(f"{AT}/onboard")["location"].rpartition("/connect/")[2]
    onboarding.begin(token)
    onboarding.answer(token, {"action": "reject"})
    till.deliver()
    assert "Stripe has rejected this account" in page(seller)
    assert seller.post(f"{AT}/onboard").status_code == 409


def test_what_stripe_asks_for_later_is_shown(till: Till, seller: Client, provider: User) -> None:
    account = till.onboard(provider)
    at_stripe.ask_for_more(StripeObject.objects.get(pk=account.stripe_id).data, "individual.verification.document")
    till.deliver()
    shown = page(seller)
    assert "individual.verification.document" in shown
    assert "Pay out now" not in shown


def test_earnings_are_shown_by_where_they_are_and_when_they_come(till: Till, seller: Client, provider: User) -> None:
    till.onboard(provider)
    earn(provider.personal_organization, 30 * DOLLAR)
    pass_days(8)
    earn(provider.personal_organization, 4 * DOLLAR)
    shown = page(seller)
    assert '<dd data-available><span class="money">$30.00</span></dd>' in shown
    assert "Becomes available" in shown
    assert "$4.00" in shown


def test_a_payout_is_asked_for_looked_at_and_cancelled(till: Till, seller: Client, provider: User) -> None:
    till.onboard(provider)
    earn(provider.personal_organization, 30 * DOLLAR)
    earn(provider.personal_organization, 2 * DOLLAR, TransferKind.ROYALTY)
    pass_days(8)
    answer = seller.post(f"{AT}/new", {"amount": "25"})
    made = Payout.objects.get()
    assert answer["location"] == f"{AT}/{made.pk}"
    shown = page(seller, answer["location"])
    assert "can be cancelled until then" in shown
    assert "Royalty" in shown
    assert "$30.00" in shown
    seller.post(f"{AT}/{made.pk}/cancel")
    assert "Cancelled" in page(seller, answer["location"])
    assert seller.post(f"{AT}/{made.pk}/cancel").status_code == 409
    again = seller.post(f"{AT}/{made.pk}/retry")
    assert Payout.objects.get(retry_of=made).amount_nano == 25 * DOLLAR
    assert "the one before" in page(seller, again["location"])


def test_a_payout_that_failed_says_why(till: Till, seller: Client, provider: User) -> None:
    till.onboard(provider, number="000111111113")
    earn(provider.personal_organization, 30 * DOLLAR)
    pass_days(8)
    seller.post(f"{AT}/new", {"amount": ""})
    go_on()
    till.bank()
    go_on()
    made = Payout.objects.get()
    assert made.status == PayoutStatus.FAILED
    shown = page(seller, f"{AT}/{made.pk}")
    assert "The bank account has been closed." in shown
    assert "Try again" in shown


@pytest.mark.parametrize(
    ("amount", "says"),
    [
        ("9", "The least that is paid out at once is $10.00"),
        ("31", "$30.00 are available"),
        ("x", "Write an amount of dollars"),
    ],
)
def test_an_amount_that_cannot_be_paid_is_said_at_the_field(
    till: Till, seller: Client, provider: User, amount: str, says: str
) -> None:
    till.onboard(provider)
    earn(provider.personal_organization, 30 * DOLLAR)
    pass_days(8)
    answer = seller.post(f"{AT}/new", {"amount": amount})
    assert answer.status_code == 422
    assert says in answer.content.decode()
    assert not Payout.objects.exists()


def test_a_schedule_is_kept(till: Till, seller: Client, provider: User) -> None:
    till.onboard(provider)
    assert seller.post(f"{AT}/schedule", {"interval": "weekly", "minimum": "50"}).status_code == 302
    kept = PayoutSchedule.objects.get()
    assert (kept.interval, kept.minimum_nano) == ("weekly", 50 * DOLLAR)
    assert "The next is asked for at" in page(seller)
    answer = seller.post(f"{AT}/schedule", {"interval": "daily", "minimum": "1"})
    assert answer.status_code == 422
    assert "The least is $10.00" in answer.content.decode()


def test_older_payouts_are_on_the_next_page(till: Till, seller: Client, provider: User) -> None:
    till.onboard(provider)
    earn(provider.personal_organization, 30 * DOLLAR)
    pass_days(8)
    for _turn in range(26):
        seller.post(f"{AT}/new", {"amount": "20"})
        seller.post(f"{AT}/{Payout.objects.latest('pk').pk}/cancel")
    first = page(seller)
    assert first.count("Cancelled") == 25
    oldest = Payout.objects.order_by("pk")[1].pk
    assert f"?before={oldest}" in first
    assert page(seller, f"{AT}?before={oldest}").count("Cancelled") == 1
    assert page(seller, f"{AT}?before=nonsense").count("Cancelled") == 25


def test_stripe_being_away_is_said(till: Till, seller: Client) -> None:
    faults.add({"kind": "refuse", "method": "POST", "prefix": "/v1/accounts", "remaining": "9"})
    answer = seller.post(f"{AT}/onboard")
    assert answer.status_code == 503
    assert "Payments cannot be reached right now" in answer.content.decode()


def test_others_see_nothing(till: Till, provider: User, seller: Client, consumer: User, stranger: User) -> None:
    till.onboard(provider)
    earn(provider.personal_organization, 30 * DOLLAR)
    pass_days(8)
    seller.post(f"{AT}/new", {"amount": "20"})
    made = Payout.objects.get()
    other = Client()
    assert other.get(AT).status_code == 302
    other.force_login(stranger)
    for at in (f"{AT}/{made.pk}", f"{AT}/{uuid4()}"):
        assert other.get(at).status_code == 404
    for verb in ("cancel", "retry"):
        assert other.post(f"{AT}/{made.pk}/{verb}").status_code == 404
    Membership.objects.create(organization=provider.personal_organization, user=stranger, role=Role.DEVELOPER)
    session = other.session
    session["organization"] = provider.personal_organization.pk
    session.save()
    for at in (AT, f"{AT}/{made.pk}", f"{AT}/return", f"{AT}/continue"):
        assert other.get(at).status_code == 403
    for verb in ("new", "schedule", "onboard", f"{made.pk}/cancel", f"{made.pk}/retry"):
        assert other.post(f"{AT}/{verb}", {"interval": "daily"}).status_code == 403
    assert Payout.objects.get().status == PayoutStatus.PENDING
