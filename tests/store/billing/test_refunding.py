"""Refunds that the store makes: of what is not spent, or of what the platform bears; once, whatever is lost."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import transaction
from django.test import Client
from django.utils import timezone
from pytest_django.fixtures import Settings
from uuid_utils.compat import uuid7

from store.accounts.models import Membership, Role, TokenScope, User
from store.accounts.tokens import issue_token
from store.billing.checkout import start_checkout
from store.billing.models import Paper, PaperKind, Quarantine, RefundOrder, RefundOrderStatus, Topup
from store.billing.promo import CodeTerms, make_code, redeem
from store.billing.refunding import (
    NotRefundable,
    ask_refund,
    due_orders,
    order_refund,
    refundable_nano,
    run_order,
    unspent_nano,
)
from store.errors import InvalidRequest, NotFound, PermissionDenied
from store.ledger import actions as ledger
from store.ledger.audit import audit
from store.ledger.models import HoldStatus, TransferKind, WalletKind
from store.sandbox import faults
from store.sandbox.models import Fault, IdempotentAnswer, StripeObject
from tests.conftest import DOLLAR
from tests.sandboxed import Till

pytestmark = pytest.mark.django_db
CENT = DOLLAR // 100


@pytest.fixture
def topup(till: Till, consumer: User) -> Topup:
    """$25 of credit and $4.75 of tax."""
    bought = till.buy(consumer, country="DE")
    till.deliver()
    bought.refresh_from_db()
    return bought


def balances(user: User) -> dict[str, int]:
    """Cents by wallet."""
    credit = ledger.wallet_of(user.personal_organization.pk, WalletKind.CREDIT).available_nano
    others = (WalletKind.TAX, WalletKind.PLATFORM, WalletKind.TEST_BANK)
    return {"credit": credit // CENT, **{kind: ledger.store_wallet(kind).posted_nano // CENT for kind in others}}


def spend(user: User, dollars: int) -> None:
    of = user.personal_organization.pk
    with transaction.atomic():
        purse = ledger.lock_credit([of])[of]
        ledger.transfer(
            key=f"spent:{of}:{dollars}", debit_id=purse.wallet_id, credit_id=ledger.wallet_of(of, WalletKind.EARNINGS).pk,
            amount_nano=dollars * DOLLAR, kind=TransferKind.USAGE,
        )  # fmt: skip


def give_back(topup: Topup, cents: int, by: User, *, of_spent: bool = False) -> RefundOrder:
    """As the people who run the store do; a worker asks Stripe afterwards."""
    order = order_refund(id=uuid7(), topup=topup, amount_nano=cents * CENT, reason="goodwill", by=by, of_spent=of_spent)
    run_order(order.pk)
    order.refresh_from_db()
    return order


def made() -> int:
    return StripeObject.objects.filter(kind="refund").count()


def again() -> None:
    RefundOrder.objects.update(due_at=timezone.now())
    for order_id in due_orders():
        run_order(order_id)


def test_a_customer_has_all_back_that_is_not_spent(till: Till, topup: Topup, consumer: User) -> None:
    spend(consumer, 10)
    assert unspent_nano(topup) == 1785 * CENT  # 15 dollars and their tax
    order = ask_refund(topup=topup, user=consumer)
    till.deliver()
    assert (order.status, order.amount_nano, made()) == (RefundOrderStatus.DONE, 1785 * CENT, 1)
    assert balances(consumer) == {"credit": 0, "tax": 190, "platform": 0, "test_bank": -1190}
    assert Paper.objects.get(kind=PaperKind.CREDIT_NOTE).total_nano == -1785 * CENT
    assert not Quarantine.objects.exists()
    with pytest.raises(NotRefundable):
        ask_refund(topup=topup, user=consumer)


def test_after_some_days_a_customer_asks_the_store(topup: Topup, consumer: User, settings: Settings) -> None:
    Topup.objects.update(created_at=timezone.now() - timedelta(days=settings.REFUND_DAYS, minutes=1))
    topup.refresh_from_db()
    with pytest.raises(NotRefundable, match="days"):
        ask_refund(topup=topup, user=consumer)
    assert made() == 0


def test_only_those_who_may_buy_ask(topup: Topup, consumer: User, stranger: User) -> None:
    with pytest.raises(NotFound):
        ask_refund(topup=topup, user=stranger)
    Membership.objects.create(organization=consumer.personal_organization, user=stranger, role=Role.DEVELOPER)
    with pytest.raises(PermissionDenied):
        ask_refund(topup=topup, user=stranger)


@pytest.mark.parametrize("kind", ["refuse", "lose", "drop", "busy"])
@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/v1/refunds"), ("GET", "/v1/refunds"), ("GET", "/v1/payment_intents")]
)
def test_trouble_at_a_call_gives_back_once(
    topup: Topup, consumer: User, till: Till, method: str, path: str, kind: str
) -> None:
    faults.add({"kind": kind, "method": method, "prefix": path, "remaining": "3"})
    ask_refund(topup=topup, user=consumer)
    assert balances(consumer)["credit"] == 0  # held, or gone
    Fault.objects.all().delete()
    for _turn in range(3):
        again()
    till.deliver()
    assert made() == 1
    assert balances(consumer) == {"credit": 0, "tax": 0, "platform": 0, "test_bank": 0}
    assert RefundOrder.objects.get().status == RefundOrderStatus.DONE


def test_a_refund_is_found_again_when_its_key_is_forgotten(topup: Topup, consumer: User) -> None:
    faults.add({"kind": "drop", "method": "POST", "prefix": "/v1/refunds", "remaining": "3"})
    ask_refund(topup=topup, user=consumer)
    IdempotentAnswer.objects.all().delete()
    again()
    assert (made(), RefundOrder.objects.get().status) == (1, RefundOrderStatus.DONE)


def test_a_webhook_that_comes_first_ends_the_order(till: Till, topup: Topup, consumer: User) -> None:
    faults.add({"kind": "drop", "method": "POST", "prefix": "/v1/refunds", "remaining": "3"})
    ask_refund(topup=topup, user=consumer)
    till.deliver()
    assert RefundOrder.objects.get().status == RefundOrderStatus.DONE
    again()
    assert made() == 1


def test_what_stripe_refuses_can_be_spent_again(till: Till, topup: Topup, consumer: User) -> None:
    till.dispute(topup)  # the store has not heard of it yet
    order = ask_refund(topup=topup, user=consumer)
    assert (order.status, "charged back" in order.error) == (RefundOrderStatus.REFUSED, True)
    assert balances(consumer)["credit"] == 2500
    till.deliver()
    assert refundable_nano(topup) == 0


def test_what_is_on_its_way_back_cannot_be_spent(topup: Topup, consumer: User) -> None:
    faults.add({"kind": "refuse", "method": "POST", "prefix": "/v1/refunds", "remaining": "3"})
    ask_refund(topup=topup, user=consumer)
    credit = ledger.wallet_of(consumer.personal_organization.pk, WalletKind.CREDIT)
    assert (credit.posted_nano, credit.available_nano) == (25 * DOLLAR, 0)
    assert (refundable_nano(topup), unspent_nano(topup)) == (0, 0)
    assert credit.holds.get().status == HoldStatus.OPEN


def test_the_store_gives_back_what_was_spent_where_it_says_so(
    till: Till, topup: Topup, consumer: User, admin: User
) -> None:
    spend(consumer, 20)
    with pytest.raises(NotRefundable, match="not spent"):
        give_back(topup, 2975, admin)
    order = give_back(topup, 2975, admin, of_spent=True)
    till.deliver()
    assert (order.status, order.created_by) == (RefundOrderStatus.DONE, admin)
    assert balances(consumer) == {"credit": 0, "tax": 0, "platform": -2000, "test_bank": 0}
    assert not Quarantine.objects.exists()  # somebody has said so


@pytest.mark.parametrize("amount", [0, -CENT, CENT + 1, 2976 * CENT])
def test_what_makes_no_sense_is_not_given_back(topup: Topup, admin: User, amount: int) -> None:
    with pytest.raises((InvalidRequest, NotRefundable)) as caught:
        order_refund(id=uuid7(), topup=topup, amount_nano=amount, reason="x", by=admin)
    assert caught.value.param == "amount"
    assert not RefundOrder.objects.exists()


def test_a_payment_that_was_never_made_is_not_given_back(till: Till, consumer: User, admin: User) -> None:
    start_checkout(organization=consumer.personal_organization, user=consumer, amount_nano=25 * DOLLAR)
    with pytest.raises(NotRefundable):
        give_back(Topup.objects.get(), 1, admin)


def test_customers_do_not_do_as_the_store_does(topup: Topup, consumer: User) -> None:
    with pytest.raises(PermissionDenied):
        give_back(topup, 1, consumer)


def test_parts_never_give_back_more_than_was_paid(topup: Topup, consumer: User, admin: User) -> None:
    for cents in (1, 999, 1234, 741):
        give_back(topup, cents, admin)
    assert refundable_nano(topup) == 0
    assert balances(consumer) == {"credit": 0, "tax": 0, "platform": 0, "test_bank": 0}


def test_the_credit_that_came_with_a_payment_goes_with_it(till: Till, consumer: User, admin: User) -> None:
    organization = consumer.personal_organization
    make_code(user=admin, terms=CodeTerms(code="MORE", percent=20))
    redeem(organization=organization, user=consumer, code="MORE")
    topup = till.buy(consumer, dollars=25)
    till.deliver()
    topup.refresh_from_db()
    assert balances(consumer)["credit"] == 3000
    give_back(topup, 1000, admin)
    assert balances(consumer)["credit"] == 1500 + 300
    ask_refund(topup=topup, user=consumer)
    assert balances(consumer) == {"credit": 0, "tax": 0, "platform": 0, "test_bank": 0}


def test_the_audit_names_a_hold_that_outlived_its_order(topup: Topup, consumer: User) -> None:
    faults.add({"kind": "refuse", "method": "POST", "prefix": "/v1/refunds", "remaining": "3"})
    ask_refund(topup=topup, user=consumer)
    with transaction.atomic():
        RefundOrder.objects.update(status=RefundOrderStatus.DONE)
        assert {found.check for found in audit()} == {"hold of a refund", "order of a refund"}
        transaction.set_rollback(True)


def test_the_page_gives_back_and_says_what_went(till: Till, topup: Topup, consumer: User, client: Client) -> None:
    client.force_login(consumer)
    at = f"/wallet/top-ups/{topup.pk}"
    assert "$29.75" in client.get(at).content.decode()
    page = client.post(f"{at}/refund", follow=True).content.decode()
    assert "on its way back" in page
    assert "Credit note TC-" in page
    assert "Ask for a refund" not in page
    assert client.post(f"{at}/refund").status_code == 409
    other = Client()
    other.force_login(User.objects.create_user("other@example.com", "x"))
    assert other.post(f"{at}/refund").status_code == 404


def test_the_api_gives_back(topup: Topup, consumer: User, stranger: User) -> None:
    tokens = [issue_token(user=user, name="t", scopes=[TokenScope.WRITE]).secret for user in (consumer, stranger)]
    mine, other = (Client(headers={"authorization": f"Bearer {token}"}) for token in tokens)
    assert other.post(f"/api/topups/{topup.pk}/refund").status_code == 404
    answer = mine.post(f"/api/topups/{topup.pk}/refund")
    assert (answer.status_code, answer.json()["status"], answer.json()["amount_nano"]) == (201, "done", 2975 * CENT)
    assert mine.post(f"/api/topups/{topup.pk}/refund").json()["error"]["code"] == "not_refundable"
