"""Credit is bought on Stripe's page: one top-up, one transfer, whatever is lost, repeated or late."""

from __future__ import annotations

import pytest
import stripe

from store.accounts.models import Membership, Role, User
from store.billing.checkout import open_session, start_checkout
from store.billing.inbox import process_event
from store.billing.models import Customer, Quarantine, QuarantineReason, StripeEvent, Topup, TopupMode, TopupStatus
from store.billing.reconciling import reconcile
from store.billing.settling import settle_payment
from store.billing.stripe_client import StripeUnavailable
from store.errors import InvalidRequest, NotFound, PermissionDenied
from store.ledger.actions import store_wallet, wallet_of
from store.ledger.models import Transfer, TransferKind, WalletKind
from store.sandbox import faults
from store.sandbox.errors import CardDeclined
from store.sandbox.models import Delivery, StripeObject
from store.sandbox.resources.checkout import pay_session
from tests.conftest import DOLLAR
from tests.sandboxed import Till

pytestmark = pytest.mark.django_db


def credit(user: User) -> int:
    return wallet_of(user.personal_organization.pk, WalletKind.CREDIT).posted_nano


def test_a_paid_page_becomes_credit_once_its_events_arrive(till: Till, consumer: User) -> None:
    topup = till.buy(consumer, dollars=25)
    assert credit(consumer) == 0
    till.deliver()
    topup.refresh_from_db()
    assert (topup.status, topup.mode, topup.payment_intent) == (TopupStatus.PAID, TopupMode.TEST, till.intent(topup))
    assert credit(consumer) == 25 * DOLLAR
    assert store_wallet(WalletKind.TEST_BANK).posted_nano == -25 * DOLLAR
    assert StripeEvent.objects.filter(processed_at=None).count() == 0
    assert not Quarantine.objects.exists()


def test_the_same_event_fifty_times_is_one_row_and_one_transfer(till: Till, consumer: User) -> None:
    till.buy(consumer)
    for _turn in range(50):
        Delivery.objects.update(delivered_at=None)
        till.deliver()
        StripeEvent.objects.update(processed_at=None, due_at="2000-01-01T00:00Z")
    till.deliver()
    assert Transfer.objects.get().amount_nano == credit(consumer) == 25 * DOLLAR
    assert StripeEvent.objects.count() == len(till.events())


def test_a_declined_card_buys_nothing_and_the_page_can_be_used_again(till: Till, consumer: User) -> None:
    start_checkout(organization=consumer.personal_organization, user=consumer, amount_nano=5 * DOLLAR)
    topup = Topup.objects.get()
    with pytest.raises(CardDeclined):
        pay_session(str(topup.checkout_session), "4000000000009995")
    till.deliver()
    assert credit(consumer) == 0
    pay_session(str(topup.checkout_session), "4242424242424242")
    till.deliver()
    assert credit(consumer) == 5 * DOLLAR


def test_a_page_that_expired_ends_its_topup(till: Till, consumer: User) -> None:
    start_checkout(organization=consumer.personal_organization, user=consumer, amount_nano=5 * DOLLAR)
    till.v1.checkout.sessions.expire(str(Topup.objects.get().checkout_session))
    till.deliver()
    assert Topup.objects.get().status == TopupStatus.EXPIRED


@pytest.mark.parametrize("amount_nano", [0, -DOLLAR, DOLLAR - 1, 10_001 * DOLLAR, 2 * DOLLAR + 1])
def test_an_amount_that_cannot_be_paid_is_refused(till: Till, consumer: User, amount_nano: int) -> None:
    with pytest.raises(InvalidRequest) as caught:
        start_checkout(organization=consumer.personal_organization, user=consumer, amount_nano=amount_nano)
    assert caught.value.param == "amount"
    assert till.wire.sent == []


def test_only_members_who_may_buy_reach_the_page(till: Till, consumer: User, stranger: User) -> None:
    organization = consumer.personal_organization
    with pytest.raises(NotFound):
        start_checkout(organization=organization, user=stranger, amount_nano=DOLLAR)
    Membership.objects.create(organization=organization, user=stranger, role=Role.DEVELOPER)
    with pytest.raises(PermissionDenied):
        start_checkout(organization=organization, user=stranger, amount_nano=DOLLAR)
    assert not Topup.objects.exists()


@pytest.mark.parametrize("kind", ["refuse", "lose", "drop", "busy"])
@pytest.mark.parametrize("path", ["/v1/customers", "/v1/checkout/sessions"])
def test_trouble_at_a_call_leaves_one_customer_and_one_page(till: Till, consumer: User, path: str, kind: str) -> None:
    faults.add({"kind": kind, "method": "POST", "prefix": path})
    try:
        start_checkout(organization=consumer.personal_organization, user=consumer, amount_nano=DOLLAR)
    except StripeUnavailable:
        assert kind == "busy"  # the client does not try a 429 again by itself
        open_session(Topup.objects.get())
    assert StripeObject.objects.filter(kind="customer").count() == 1
    assert StripeObject.objects.filter(kind="checkout.session").count() == 1
    keys = {key for method, where, key in till.wire.sent if method == "POST" and where == path}
    own = Customer.objects.get().key if path == "/v1/customers" else Topup.objects.get().pk
    assert keys == {f"{'customer' if path == '/v1/customers' else 'topup'}:{own}"}


@pytest.mark.parametrize("kind", ["lose", "drop"])
def test_a_page_whose_answer_never_came_is_found_again_by_its_key(till: Till, consumer: User, kind: str) -> None:
    faults.add({"kind": kind, "method": "POST", "prefix": "/v1/checkout/sessions", "remaining": "3"})
    with pytest.raises(StripeUnavailable):
        start_checkout(organization=consumer.personal_organization, user=consumer, amount_nano=DOLLAR)
    assert Topup.objects.get().checkout_session is None
    reconcile()
    session = StripeObject.objects.get(kind="checkout.session")
    assert Topup.objects.get().checkout_session == session.pk


def test_an_event_waits_while_stripe_is_away(till: Till, consumer: User) -> None:
    till.buy(consumer)
    faults.add({"kind": "refuse", "method": "GET", "remaining": "1000"})
    till.deliver()
    assert credit(consumer) == 0
    assert StripeEvent.objects.filter(processed_at=None).exists()
    faults.Fault.objects.all().delete()
    StripeEvent.objects.update(due_at="2000-01-01T00:00Z")
    for event in StripeEvent.objects.all():
        process_event(event.pk)
    assert credit(consumer) == 25 * DOLLAR


def test_a_payment_of_which_no_event_came_is_found(till: Till, consumer: User) -> None:
    topup = till.buy(consumer)
    till.v1.refunds.create({"payment_intent": till.intent(topup), "amount": 500})
    assert reconcile() == 1
    assert credit(consumer) == 20 * DOLLAR
    assert reconcile() == 0


@pytest.mark.parametrize(
    ("field", "reason"),
    [
        ({"amount_received": 2400}, QuarantineReason.AMOUNT),
        ({"currency": "eur"}, QuarantineReason.CURRENCY),
        ({"livemode": True}, QuarantineReason.MODE),
        ({"customer": "cus_other"}, QuarantineReason.ACCOUNT),
        ({"metadata": {}}, QuarantineReason.UNKNOWN),
    ],
)
def test_what_is_not_as_it_was_asked_for_moves_nothing_and_is_shown(
    till: Till, consumer: User, field: dict[str, object], reason: QuarantineReason
) -> None:
    topup = till.buy(consumer)
    till.change(till.intent(topup), **field)
    till.deliver()
    assert credit(consumer) == 0
    assert reason in Quarantine.objects.values_list("reason", flat=True)
    assert not Transfer.objects.filter(kind=TransferKind.TOPUP).exists()


def test_a_page_that_is_complete_and_not_paid_is_shown(till: Till, consumer: User) -> None:
    topup = till.buy(consumer)
    till.change(str(topup.checkout_session), payment_status="unpaid")
    till.change(till.intent(topup), status="processing")
    till.deliver()
    assert credit(consumer) == 0
    assert Quarantine.objects.get().reason == QuarantineReason.UNPAID


def test_a_second_payment_for_one_topup_is_not_credited(till: Till, consumer: User) -> None:
    topup = till.buy(consumer)
    till.deliver()
    customer = Customer.objects.get().stripe_id or ""
    card = till.v1.payment_methods.attach("pm_card_visa", {"customer": customer})
    again = till.v1.payment_intents.create(
        {
            "amount": 2500, "currency": "usd", "customer": customer, "payment_method": card.id, "confirm": True, "off_session": True,
            "metadata": {"topup": str(topup.pk)},
        }
    )  # fmt: skip
    settle_payment(again.id)
    assert credit(consumer) == 25 * DOLLAR
    assert Quarantine.objects.get().reason == QuarantineReason.SECOND


@pytest.mark.parametrize("field", [{"livemode": True}, {"account": "acct_other"}])
def test_an_event_of_another_mode_or_account_is_not_acted_on(
    till: Till, consumer: User, field: dict[str, object]
) -> None:
    till.buy(consumer)
    for event in till.events():
        till.change(event["id"], **field)
    till.deliver()
    assert credit(consumer) == 0
    assert set(Quarantine.objects.values_list("reason", flat=True)) <= {QuarantineReason.MODE, QuarantineReason.ACCOUNT}


def test_the_official_client_is_told_what_is_wrong(till: Till) -> None:
    with pytest.raises(stripe.InvalidRequestError, match="Received unknown parameter: colour"):
        till.v1.customers.create({"colour": "red"})  # type: ignore[typeddict-unknown-key]
    with pytest.raises(stripe.InvalidRequestError, match="No such customer"):
        till.v1.customers.retrieve("cus_none")
    till.v1.customers.create({"name": "one"}, {"idempotency_key": "same"})
    with pytest.raises(stripe.IdempotencyError):
        till.v1.customers.create({"name": "two"}, {"idempotency_key": "same"})
