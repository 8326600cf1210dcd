"""Payments that are given back by those who run the store: asked for like everything else, and Stripe is called once that is in the books."""

from __future__ import annotations

from uuid import uuid4

import pytest
from django.db import IntegrityError, connection, transaction
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoCaptureOnCommitCallbacks

from store.accounts.models import User
from store.backoffice.actions import Wish, approve, request_action
from store.backoffice.models import ActionKind, ActionStatus, AdminAction
from store.backoffice.outcomes import outcome_of
from store.billing.models import RefundOrder, RefundOrderStatus, Topup
from store.billing.refunding import NotRefundable, due_orders, run_order
from store.errors import InvalidRequest, PermissionDenied
from store.ledger.actions import store_wallet, transfer, wallet_of
from store.ledger.models import TransferKind, WalletKind
from store.sandbox import faults
from store.sandbox.models import StripeObject
from tests.conftest import DOLLAR
from tests.sandboxed import Till
from tests.store.backoffice.conftest import SignedIn

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("proven")]


@pytest.fixture
def topup(till: Till, consumer: User) -> Topup:
    return bought(till, consumer, 400)


def bought(till: Till, user: User, dollars: int) -> Topup:
    row = till.buy(user, dollars=dollars)
    till.deliver()
    row.refresh_from_db()
    return row


def wish(topup: Topup, dollars: int | None, **more: object) -> Wish:
    nano = None if dollars is None else dollars * DOLLAR
    return Wish(**{"kind": ActionKind.REFUND, "topup": topup, "amount_nano": nano, "reason": "An outage.", **more})  # type: ignore[arg-type]


def credit(user: User) -> int:
    return wallet_of(user.personal_organization.pk, WalletKind.CREDIT).posted_nano // DOLLAR


def spend(user: User, dollars: int) -> None:
    transfer(
        key=f"spent:{uuid4()}", debit_id=wallet_of(user.personal_organization.pk, WalletKind.CREDIT).pk, amount_nano=dollars * DOLLAR,
        credit_id=store_wallet(WalletKind.PLATFORM).pk, kind=TransferKind.USAGE,
    )  # fmt: skip


def ask_stripe() -> None:
    """As a worker does, or the clock."""
    RefundOrder.objects.filter(status=RefundOrderStatus.WAITING).update(due_at=timezone.now())
    for order_id in due_orders():
        run_order(order_id)


def test_a_small_part_goes_back_at_once_and_stripe_is_asked_after_the_commit(
    till: Till, topup: Topup, operator: User, consumer: User, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:  # fmt: skip
    before = len(till.wire.sent)
    with django_capture_on_commit_callbacks() as waiting:
        action = request_action(wish=wish(topup, 30), user=operator)
    order = RefundOrder.objects.get()
    assert (action.status, order.pk, order.status) == (ActionStatus.DONE, action.pk, RefundOrderStatus.WAITING)
    assert (len(till.wire.sent), len(waiting)) == (before, 1)
    ask_stripe()
    assert (credit(consumer), StripeObject.objects.filter(kind="refund").count()) == (370, 1)
    found = outcome_of(action)
    assert found
    assert found.words == "Given back"


def test_a_large_part_waits_for_a_second_person(topup: Topup, operator: User, approver: User, consumer: User) -> None:
    action = request_action(wish=wish(topup, 150), user=operator)
    assert (action.status, RefundOrder.objects.count(), credit(consumer)) == (ActionStatus.WAITING, 0, 400)
    approve(action=action, user=approver)
    ask_stripe()
    order = RefundOrder.objects.get()
    assert (order.status, order.created_by, credit(consumer)) == (RefundOrderStatus.DONE, operator, 250)


def test_without_an_amount_all_that_is_unspent_now_goes_back(topup: Topup, operator: User, approver: User) -> None:
    spend(topup.created_by, 20)  # type: ignore[arg-type]
    action = request_action(wish=wish(topup, None), user=operator)
    assert action.amount_nano == 380 * DOLLAR
    spend(topup.created_by, 30)  # type: ignore[arg-type]
    with pytest.raises(NotRefundable, match=r"\$350.00"):
        approve(action=action, user=approver)
    assert AdminAction.objects.get().status == ActionStatus.WAITING


def test_of_spent_credit_goes_back_what_the_platform_bears(topup: Topup, operator: User, approver: User) -> None:
    spend(topup.created_by, 390)  # type: ignore[arg-type]
    with pytest.raises(NotRefundable):
        request_action(wish=wish(topup, 50), user=operator)
    with pytest.raises(NotRefundable, match=r"At most \$400.00"):
        request_action(wish=wish(topup, 401, of_spent=True), user=operator)
    request_action(wish=wish(topup, 50, of_spent=True), user=operator)
    ask_stripe()
    assert store_wallet(WalletKind.PLATFORM).posted_nano == (390 - 40) * DOLLAR
    with pytest.raises(InvalidRequest, match="left unspent"):
        request_action(wish=wish(topup, None), user=operator)


def test_what_stripe_refuses_is_told(till: Till, topup: Topup, operator: User, consumer: User) -> None:
    till.dispute(topup)  # the store has not heard of it yet
    action = request_action(wish=wish(topup, 30), user=operator)
    ask_stripe()
    found = outcome_of(action)
    assert found
    assert "Refused by Stripe: " in found.words
    assert "charged back" in found.words
    assert credit(consumer) == 400
    till.deliver()


def test_a_lost_answer_gives_back_once(topup: Topup, operator: User, consumer: User) -> None:
    faults.add({"kind": "drop", "method": "POST", "prefix": "/v1/refunds", "remaining": "3"})
    request_action(wish=wish(topup, 30), user=operator)
    ask_stripe()
    assert RefundOrder.objects.get().status == RefundOrderStatus.WAITING
    ask_stripe()
    assert (credit(consumer), StripeObject.objects.filter(kind="refund").count()) == (370, 1)


def test_only_who_may_give_back_asks(topup: Topup, approver: User, accountant: User, consumer: User) -> None:
    for user in (approver, accountant, consumer):
        with pytest.raises(PermissionDenied):
            request_action(wish=wish(topup, 30), user=user)


def test_the_page_of_a_payment_leads_to_the_form_and_what_it_says_is_done(
    topup: Topup, operator: User, accountant: User, consumer: User, signed_in: SignedIn
) -> None:
    page = reverse("admin:billing_topup_change", args=[topup.pk])
    lead = reverse("admin:billing_topup_refund", args=[topup.pk])
    assert lead not in signed_in(accountant).get(page).content.decode()
    client = signed_in(operator)
    assert lead in client.get(page).content.decode()
    form = client.get(lead, follow=True).context["form"]
    assert form["topup"].value() == str(topup.pk)
    said = {"id": str(uuid4()), "topup": str(topup.pk), "amount": "", "reason": "An outage."}
    spend(consumer, 375)
    looked = client.post(reverse("admin:backoffice_adminaction_refund"), said)
    assert "$25.00" in looked.content.decode()
    fixed = {name: looked.context["form"][name].value() for name in ("id", "topup", "amount", "reason")}
    spend(consumer, 10)
    late = client.post(reverse("admin:backoffice_adminaction_refund"), {**fixed, "confirm": "1"})
    assert "$15.00 of this payment is not spent" in str(late.context["form"].errors["amount"])
    client.post(reverse("admin:backoffice_adminaction_refund"), {**fixed, "amount": "15", "confirm": "1"})
    action = AdminAction.objects.get()
    shown = client.get(reverse("admin:backoffice_adminaction_change", args=[action.pk])).content.decode()
    assert "On its way" in shown
    ask_stripe()
    shown = client.get(reverse("admin:backoffice_adminaction_change", args=[action.pk])).content.decode()
    assert "Given back" in shown
    assert client.get(reverse("admin:billing_refundorder_change", args=[action.pk])).status_code == 200


@pytest.mark.parametrize(
    ("topup_id", "words"), [("00000000-0000-7000-8000-000000000000", "no payment with this id"), ("x", "valid UUID")]
)
def test_a_payment_that_is_not_there_is_said(operator: User, signed_in: SignedIn, topup_id: str, words: str) -> None:
    said = {"id": str(uuid4()), "topup": topup_id, "amount": "1", "reason": "x"}
    answer = signed_in(operator).post(reverse("admin:backoffice_adminaction_refund"), said)
    assert words in str(answer.context["form"].errors["topup"])


def test_a_refund_in_the_trail_stays_as_it_was_asked_for(topup: Topup, operator: User, approver: User) -> None:
    action = request_action(wish=wish(topup, 150), user=operator)
    with pytest.raises(IntegrityError, match="decided once"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "UPDATE backoffice_adminaction SET of_spent = true, status = 'done', decided_by_id = %s WHERE id = %s",
            [approver.pk, action.pk],
        )
