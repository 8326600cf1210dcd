"""The saved card, and what is bought with it by itself: once, whatever is lost, and not for ever where it is declined."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core import mail
from django.db import connection
from django.test import Client
from django.utils import timezone
from pytest_django.fixtures import Settings

from store.accounts.models import Membership, Organization, Role, TokenScope, User
from store.accounts.tokens import issue_token
from store.billing.automatic import (
    MAX_FAILURES,
    NothingToPay,
    due_auto_topups,
    pay_on_session,
    run_auto_topup,
    set_auto_topup,
    switch_off,
)
from store.billing.cards import card_of, remove_card, start_setup
from store.billing.details import change_details
from store.billing.letters import send_letters
from store.billing.models import AutoTopup, Card, CardSetup, OffReason, Paper, Topup, TopupStatus
from store.billing.reconciling import reconcile
from store.billing.stripe_client import StripeUnavailable
from store.errors import Conflict, InvalidRequest, NotFound, PermissionDenied
from store.ledger.actions import wallet_of
from store.ledger.models import WalletKind
from store.sandbox import faults
from store.sandbox.errors import CardDeclined
from store.sandbox.models import Fault, IdempotentAnswer, StripeObject
from store.sandbox.resources.checkout import pay_session, save_card
from tests.conftest import DOLLAR
from tests.sandboxed import VISA, Till
from tests.store.webhooks.conftest import issued, open_receiver, receiver

__all__ = ["issued", "open_receiver", "receiver"]
pytestmark = pytest.mark.django_db
DECLINES, ASKS = "4000000000000341", "4000002500003155"


@pytest.fixture
def buyer(consumer: User) -> Organization:
    change_details(organization=consumer.personal_organization, user=consumer, country="US")
    return consumer.personal_organization


def save(till: Till, user: User, number: str = VISA) -> Card:
    start_setup(organization=user.personal_organization, user=user)
    save_card(str(CardSetup.objects.latest("created_at", "id").session), number)
    till.deliver()
    card = card_of(user.personal_organization)
    assert card
    return card


def switch_on(user: User, *, month: int = 100) -> None:
    set_auto_topup(
        organization=user.personal_organization, user=user, threshold_nano=5 * DOLLAR, amount_nano=25 * DOLLAR,
        month_nano=month * DOLLAR,
    )  # fmt: skip


def run() -> None:
    """The clock, once."""
    for organization_id in due_auto_topups():
        run_auto_topup(organization_id)


def later() -> None:
    AutoTopup.objects.update(due_at=timezone.now())


def credit(user: User) -> int:
    return wallet_of(user.personal_organization.pk, WalletKind.CREDIT).posted_nano // DOLLAR


def charges() -> int:
    return StripeObject.objects.filter(kind="charge", data__status="succeeded").count()


def test_a_card_is_saved_shown_replaced_and_removed(till: Till, consumer: User, buyer: Organization) -> None:
    first = save(till, consumer)
    assert (first.brand, first.last4, first.exp_year) == ("visa", "4242", 2034)
    second = save(till, consumer, "5555555555554444")
    assert (Card.objects.count(), second.brand) == (1, "mastercard")
    assert till.v1.payment_methods.retrieve(first.stripe_id).customer is None
    switch_on(consumer)
    remove_card(organization=buyer, user=consumer)
    remove_card(organization=buyer, user=consumer)
    assert not Card.objects.exists()
    assert till.v1.payment_methods.retrieve(second.stripe_id).customer is None
    assert (AutoTopup.objects.get().is_on, AutoTopup.objects.get().off_reason) == (False, OffReason.CARD)


def test_a_card_that_is_declined_is_not_saved(till: Till, consumer: User, buyer: Organization) -> None:
    start_setup(organization=buyer, user=consumer)
    with pytest.raises(CardDeclined):
        save_card(str(CardSetup.objects.get().session), "4000000000000002")
    till.deliver()
    assert card_of(buyer) is None


def test_a_card_of_which_no_event_came_is_found(till: Till, consumer: User, buyer: Organization) -> None:
    faults.add({"kind": "lose", "method": "POST", "prefix": "/v1/checkout/sessions", "remaining": "3"})
    with pytest.raises(StripeUnavailable):
        start_setup(organization=buyer, user=consumer)
    reconcile()
    save_card(str(CardSetup.objects.get().session), VISA)
    reconcile()
    assert StripeObject.objects.filter(kind="checkout.session").count() == 1
    card = card_of(buyer)
    assert card
    assert card.last4 == "4242"


def test_a_low_balance_is_topped_up_once_with_a_receipt(till: Till, consumer: User, buyer: Organization) -> None:
    save(till, consumer)
    switch_on(consumer)
    run()
    run()
    till.deliver()
    assert (credit(consumer), charges()) == (25, 1)
    topup = Topup.objects.get()
    assert (topup.status, topup.is_automatic, topup.created_by) == (TopupStatus.PAID, True, None)
    assert Paper.objects.get().topup == topup
    assert due_auto_topups() == []


def test_tax_is_charged_besides(till: Till, consumer: User, buyer: Organization) -> None:
    change_details(organization=buyer, user=consumer, country="DE")
    save(till, consumer)
    switch_on(consumer)
    run()
    assert credit(consumer) == 25
    assert Topup.objects.get().tax_nano == 4_750_000_000
    assert Paper.objects.get().total_nano == 29_750_000_000


@pytest.mark.parametrize("kind", ["refuse", "lose", "drop", "busy"])
@pytest.mark.parametrize("path", ["/v1/tax/calculations", "/v1/payment_intents"])
def test_trouble_at_a_call_charges_once(till: Till, consumer: User, buyer: Organization, path: str, kind: str) -> None:
    save(till, consumer)
    switch_on(consumer)
    faults.add({"kind": kind, "method": "POST", "prefix": path, "remaining": "3"})
    run()
    Fault.objects.all().delete()
    for _turn in range(3):
        later()
        run()
    assert (credit(consumer), charges()) == (25, 1)
    assert Topup.objects.get().status == TopupStatus.PAID
    assert AutoTopup.objects.get().current is None


def test_a_charge_is_found_again_when_its_key_is_forgotten(till: Till, consumer: User, buyer: Organization) -> None:
    save(till, consumer)
    switch_on(consumer)
    faults.add({"kind": "drop", "method": "POST", "prefix": "/v1/payment_intents", "remaining": "3"})
    run()
    assert credit(consumer) == 0
    IdempotentAnswer.objects.all().delete()
    later()
    run()
    assert (credit(consumer), charges()) == (25, 1)


def test_a_webhook_that_comes_first_changes_nothing(till: Till, consumer: User, buyer: Organization) -> None:
    save(till, consumer)
    switch_on(consumer)
    faults.add({"kind": "drop", "method": "POST", "prefix": "/v1/payment_intents", "remaining": "3"})
    run()
    till.deliver()
    assert credit(consumer) == 25
    later()
    run()
    assert (credit(consumer), charges(), AutoTopup.objects.get().current) == (25, 1, None)


def test_the_ceiling_of_a_month_holds(till: Till, consumer: User, buyer: Organization) -> None:
    save(till, consumer)
    switch_on(consumer, month=30)
    AutoTopup.objects.update(threshold_nano=1000 * DOLLAR)
    for _turn in range(3):
        later()
        run()
    assert (credit(consumer), charges()) == (25, 1)
    send_letters()
    assert len([message for message in mail.outbox if "monthly limit" in message.subject]) == 1


def test_a_declined_card_is_tried_again_later_and_then_no_more(till: Till, consumer: User, buyer: Organization) -> None:
    save(till, consumer, DECLINES)
    switch_on(consumer)
    run()
    assert due_auto_topups() == []
    assert timedelta(minutes=59) < AutoTopup.objects.get().due_at - timezone.now() <= timedelta(hours=1)
    for _turn in range(MAX_FAILURES):
        later()
        run()
    auto = AutoTopup.objects.get()
    assert (auto.is_on, auto.off_reason, auto.failures, auto.current) == (False, OffReason.DECLINED, MAX_FAILURES, None)
    assert list(Topup.objects.values_list("status", flat=True)) == [TopupStatus.DECLINED] * MAX_FAILURES
    assert credit(consumer) == 0
    send_letters()
    subjects = [message.subject for message in mail.outbox]
    assert subjects == ["The card of consumer was declined"] * 2 + ["Automatic top-ups of consumer are off"]
    save(till, consumer)
    switch_on(consumer)
    run()
    assert (credit(consumer), AutoTopup.objects.get().failures) == (25, 0)


def test_a_bank_that_wants_to_see_the_customer_is_told_of_by_mail(
    till: Till, consumer: User, buyer: Organization
) -> None:
    save(till, consumer, ASKS)
    switch_on(consumer)
    run()
    topup = Topup.objects.get()
    assert topup.status == TopupStatus.PENDING
    send_letters()
    [letter] = mail.outbox
    assert f"/wallet/top-ups/{topup.pk}" in letter.body
    reconcile()
    browser = Client()
    browser.force_login(consumer)
    assert "wants you to confirm" in browser.get(f"/wallet/top-ups/{topup.pk}").content.decode()
    answer = browser.post(f"/wallet/top-ups/{topup.pk}/pay")
    assert answer.status_code == 303
    topup.refresh_from_db()
    pay_session(str(topup.checkout_session), ASKS)
    till.deliver()
    assert credit(consumer) == 25
    topup.refresh_from_db()
    with pytest.raises(NothingToPay):
        pay_on_session(topup=topup, user=consumer)


def test_one_that_nobody_confirms_ends(till: Till, consumer: User, buyer: Organization) -> None:
    save(till, consumer, ASKS)
    switch_on(consumer)
    run()
    Topup.objects.update(created_at=timezone.now() - timedelta(days=8))
    reconcile()
    assert Topup.objects.get().status == TopupStatus.EXPIRED


def test_webhooks_are_told(till: Till, consumer: User, buyer: Organization, issued: object) -> None:
    save(till, consumer, DECLINES)
    switch_on(consumer)
    run()
    event = buyer.webhook_events.get()
    assert (event.type, event.data["status"], event.data["error_code"]) == (
        "auto_topup.failed", "declined", "card_declined",
    )  # fmt: skip


def test_what_is_low_is_held_money_too(till: Till, consumer: User, buyer: Organization) -> None:
    save(till, consumer)
    switch_on(consumer)
    run()
    assert due_auto_topups() == []
    wallet_of(buyer.pk, WalletKind.EARNINGS)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO ledger_hold (id, wallet_id, amount_nano, captured_nano, status, expires_at)"
            " SELECT gen_random_uuid(), id, %s, 0, 'open', now() + interval '1 hour' FROM ledger_wallet WHERE kind = 'credit'",
            [21 * DOLLAR],
        )
    assert due_auto_topups() == [buyer.pk]


@pytest.mark.parametrize(
    ("terms", "param"),
    [
        ({"amount_nano": DOLLAR // 2}, "amount"),
        ({"amount_nano": DOLLAR + 1}, "amount"),
        ({"threshold_nano": -1}, "threshold"),
        ({"month_nano": 24 * DOLLAR}, "month"),
    ],
)
def test_terms_that_make_no_sense_are_refused(
    till: Till, consumer: User, buyer: Organization, terms: dict[str, int], param: str
) -> None:
    save(till, consumer)
    asked = {"threshold_nano": DOLLAR, "amount_nano": 25 * DOLLAR, "month_nano": 50 * DOLLAR, **terms}
    with pytest.raises(InvalidRequest) as caught:
        set_auto_topup(organization=buyer, user=consumer, **asked)
    assert caught.value.param == param


def test_without_a_card_or_a_country_nothing_is_bought_by_itself(
    till: Till, consumer: User, settings: Settings
) -> None:
    with pytest.raises(Conflict, match="card"):
        switch_on(consumer)
    save(till, consumer)
    with pytest.raises(Conflict, match="country"):
        switch_on(consumer)
    settings.STRIPE_TAX = False
    switch_on(consumer)
    run()
    assert credit(consumer) == 25


def test_only_those_who_may_buy_have_to_do_with_it(
    till: Till, consumer: User, buyer: Organization, stranger: User
) -> None:
    save(till, consumer)
    for verb in (start_setup, remove_card, switch_off):
        with pytest.raises(NotFound):
            verb(organization=buyer, user=stranger)
    Membership.objects.create(organization=buyer, user=stranger, role=Role.DEVELOPER)
    for verb in (start_setup, remove_card, switch_off):
        with pytest.raises(PermissionDenied):
            verb(organization=buyer, user=stranger)


def test_pages_show_the_card_and_the_terms(till: Till, consumer: User, buyer: Organization, client: Client) -> None:
    client.force_login(consumer)
    assert "No card is saved" in client.get("/wallet/automatic").content.decode()
    assert client.post("/wallet/card/new").status_code == 303
    save(till, consumer)
    assert "•••• 4242" in client.get("/wallet/automatic").content.decode()
    terms = {"threshold": "5", "amount": "25", "month": "10"}
    assert client.post("/wallet/automatic", terms).status_code == 422
    assert client.post("/wallet/automatic", {**terms, "month": "100"}).status_code == 302
    run()
    listed = client.get("/wallet/top-ups", {"how": "automatic", "status": "paid", "before": "x"}).content.decode()
    assert "itself" in listed
    assert "No top-ups here" in client.get("/wallet/top-ups", {"how": "hand"}).content.decode()
    assert client.post("/wallet/automatic/off").status_code == 302
    assert not AutoTopup.objects.get().is_on
    assert client.post("/wallet/card/remove").status_code == 302
    assert not Card.objects.exists()


def test_the_api_does_the_same(till: Till, consumer: User, buyer: Organization, stranger: User) -> None:
    save(till, consumer)
    tokens = [issue_token(user=user, name="t", scopes=[TokenScope.WRITE]).secret for user in (consumer, stranger)]
    mine, other = (Client(headers={"authorization": f"Bearer {token}"}) for token in tokens)
    at = "/api/auto-topups/consumer"
    assert mine.get(at).status_code == 404
    terms = {"threshold_nano": DOLLAR, "amount_nano": 25 * DOLLAR, "month_nano": 50 * DOLLAR}
    made = mine.put(at, terms, content_type="application/json")
    assert (made.status_code, made.json()["is_on"]) == (200, True)
    run()
    [topup] = mine.get("/api/topups", {"status": "paid"}).json()["results"]
    assert (topup["is_automatic"], topup["amount_nano"]) == (True, 25 * DOLLAR)
    assert mine.get(f"/api/topups/{topup['id']}").status_code == 200
    assert other.get(f"/api/topups/{topup['id']}").status_code == 404
    assert other.put(at, terms, content_type="application/json").status_code == 404
    assert mine.delete(at).status_code == 204
    assert mine.get(at).json()["is_on"] is False
