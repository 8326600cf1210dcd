"""Refunds that the store makes: asked for by a customer, of what is not spent, or made by the people who run the store.

What is to go back is held first, so that nobody spends it meanwhile; then Stripe is asked under the id of our row, outside any transaction; then
the refund is booked as every other is (``settling``), which lets the hold go. An answer that was lost is had by asking again.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

import stripe
from django.conf import settings
from django.db import transaction
from django.db.models import F, QuerySet, Sum
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext as _
from uuid_utils.compat import uuid7

from store.accounts.models import User
from store.billing.actions import require_buyer
from store.billing.checkout import NANO_PER_CENT
from store.billing.grants import open_grants, own_nano
from store.billing.models import DisputeStatus, RefundOrder, RefundOrderStatus, Topup, TopupStatus
from store.billing.settling import settle_payment
from store.billing.stripe_client import client
from store.errors import Conflict, InvalidRequest, PermissionDenied
from store.ledger import actions as ledger
from store.ledger.dollars import dollars
from store.ledger.models import HoldStatus, Wallet, WalletKind
from store.outbox import send_after_commit

TASK: Final = "billing.refunds"
MAX_REASON: Final = 200  # characters; those who run the store keep theirs in full
HELD_FOR: Final = timedelta(days=90)  # nothing but the end of the order lets the hold go
SENDING: Final = timedelta(minutes=2)  # who asks Stripe has so long before another does
LONGEST: Final = timedelta(hours=6)  # between two tries
BATCH: Final = 100
PAGE: Final = 100

logger = logging.getLogger(__name__)


class NotRefundable(Conflict):
    """Not this payment, not now, or not so much. The message says why."""

    code = "not_refundable"


def refundable_nano(topup: Topup) -> int:
    """What of a payment has not gone back and is not on its way back: nano-dollars, tax in it. 0 while a bank looks at it."""
    if topup.status != TopupStatus.PAID or not topup.payment_intent:
        return 0
    if topup.disputes.exclude(status=DisputeStatus.WON).exists():
        return 0
    back = _sum(topup.refunds.filter(failed_at=None)) + _sum(
        topup.refund_orders.filter(status=RefundOrderStatus.WAITING)
    )
    return topup.paid_nano - back


def unspent_nano(topup: Topup) -> int:
    """What of a payment can go back because its credit is not spent: whole cents in nano-dollars, tax in it. As of now: nothing is locked."""
    wallet = Wallet.objects.filter(organization=topup.organization_id, kind=WalletKind.CREDIT).first()
    if wallet is None:
        return 0
    granted = sum(grant.left_nano for grant in open_grants(topup.organization))
    return _coverable(topup, min(wallet.available_nano, wallet.posted_nano - granted))


def _unspent_locked(topup: Topup) -> int:
    """The same, and it stays so until the transaction ends."""
    purse = ledger.lock_credit([topup.organization_id])[topup.organization_id]
    return _coverable(topup, min(purse.available_nano, own_nano(topup.organization_id)))


def _coverable(topup: Topup, net_nano: int) -> int:
    """Gross, of this much net. All that is left of the credit goes with all that is left of the tax, whatever was rounded."""
    left = refundable_nano(topup)
    back = [each.amount_nano - each.tax_nano for each in topup.refunds.filter(failed_at=None)]
    back += [_net(topup, order.amount_nano) for order in topup.refund_orders.filter(status=RefundOrderStatus.WAITING)]
    gross = left if net_nano >= topup.amount_nano - sum(back) else net_nano * topup.paid_nano // topup.amount_nano
    return max(0, min(left, gross)) // NANO_PER_CENT * NANO_PER_CENT


def _net(topup: Topup, amount_nano: int) -> int:
    """What of a part of a payment is credit: rounded up, for its tax is rounded down."""
    return -(-amount_nano * topup.amount_nano // topup.paid_nano)


def is_in_time(topup: Topup) -> bool:
    """Whether a customer can still have it back without asking anybody."""
    return topup.created_at > timezone.now() - timedelta(days=settings.REFUND_DAYS)


def ask_refund(*, topup: Topup, user: User) -> RefundOrder:
    """Gives a customer back what is not spent of a payment of the last REFUND_DAYS. Raises NotFound, PermissionDenied, NotRefundable."""
    require_buyer(topup.organization, user)
    if not is_in_time(topup):
        raise NotRefundable(_("A payment can be given back within %d days. Write to the store.") % settings.REFUND_DAYS)
    with transaction.atomic():
        amount_nano = _unspent_locked(topup)
        if not amount_nano:
            raise NotRefundable(_("Nothing of this payment is left that could be given back."))
        order = _order(topup, amount_nano, _("Asked for by the customer"), user)
    run_order(order.pk)
    order.refresh_from_db()
    return order


def check_refund(*, topup: Topup, amount_nano: int, unspent_nano: int, of_spent: bool) -> None:
    """Whether so much of a payment can go back, of which ``unspent_nano`` is not spent. Raises InvalidRequest, NotRefundable (``amount``)."""
    if amount_nano <= 0 or amount_nano % NANO_PER_CENT:
        raise InvalidRequest(_("The amount must be whole cents, and above 0."), param="amount")
    left = refundable_nano(topup)
    if amount_nano > left:
        raise NotRefundable(_("At most %s of this payment can go back.") % dollars(left), param="amount")
    if amount_nano > unspent_nano and not of_spent:
        raise NotRefundable(
            _("%s of this payment is not spent. To give more back, say that the platform bears it.") % dollars(unspent_nano),
            param="amount",
        )  # fmt: skip


@transaction.atomic
def order_refund(
    *, id: UUID, topup: Topup, amount_nano: int, reason: str, by: User, of_spent: bool = False
) -> RefundOrder:
    """Has a part of a payment given back, tax in it. Stripe is asked after this transaction has committed.

    ``id``: of the order. ``of_spent``: what is spent already may go back, too, and the platform bears it. Raises PermissionDenied, InvalidRequest, NotRefundable.
    """
    if not (by.is_staff and by.is_active):
        raise PermissionDenied(_("Only the people who run the store give money back."))
    unspent = _unspent_locked(topup) if refundable_nano(topup) else 0  # what was never paid may have no wallet
    check_refund(topup=topup, amount_nano=amount_nano, unspent_nano=unspent, of_spent=of_spent)
    send_after_commit(TASK)
    return _order(topup, amount_nano, reason[:MAX_REASON], by, id=id, of_spent=of_spent)


def _order(
    topup: Topup, amount_nano: int, reason: str, by: User, *, id: UUID | None = None, of_spent: bool = False
) -> RefundOrder:
    """The row, and the hold on what credit can bear of it. The organization's credit is locked."""
    purse = ledger.lock_credit([topup.organization_id])[topup.organization_id]
    order = RefundOrder.objects.create(
        id=id or uuid7(), topup=topup, amount_nano=amount_nano, reason=reason, of_spent=of_spent, created_by=by
    )
    held = max(0, min(_net(topup, amount_nano), purse.available_nano, own_nano(topup.organization_id)))
    ledger.place_holds(
        [ledger.NewHold(id=order.pk, wallet_id=purse.wallet_id, amount_nano=held, expires_at=timezone.now() + HELD_FOR)]
    )
    return order


def due_orders() -> list[UUID]:
    """Ids of refunds of which it is not known what became of them."""
    due = RefundOrder.objects.filter(status=RefundOrderStatus.WAITING, due_at__lte=timezone.now())
    return list(due.order_by("due_at").values_list("pk", flat=True)[:BATCH])


def run_order(order_id: UUID) -> None:
    """Asks Stripe once, if it is due, and books what came of it. Done twice, it gives back once."""
    now = timezone.now()
    due = RefundOrder.objects.filter(pk=order_id, status=RefundOrderStatus.WAITING, due_at__lte=now)
    if due.update(due_at=now + SENDING, attempts=F("attempts") + 1) != 1:
        return
    order = RefundOrder.objects.select_related("topup").get(pk=order_id)
    intent = str(order.topup.payment_intent)
    try:
        if not _is_made(order, intent):
            _make(order, intent)
        settle_payment(intent)
    except stripe.InvalidRequestError as error:
        _refuse(order, str(error.user_message or error))
    except stripe.StripeError as error:
        logger.warning("refund %s is taken up again: %s", order_id, error)
        wait = min(SENDING * 2**order.attempts, LONGEST)
        RefundOrder.objects.filter(pk=order_id).update(due_at=timezone.now() + wait)


def _is_made(order: RefundOrder, intent: str) -> bool:
    """Whether Stripe has it: an idempotency key is forgotten after a day, a refund is not."""
    listed = client().v1.refunds.list({"payment_intent": intent, "limit": PAGE})
    return any(getattr(each.metadata, "order", None) == str(order.pk) for each in listed.auto_paging_iter())


def _make(order: RefundOrder, intent: str) -> None:
    client().v1.refunds.create(
        {
            "payment_intent": intent,
            "amount": order.amount_nano // NANO_PER_CENT,
            "reason": "requested_by_customer",
            "metadata": {"order": str(order.pk)},
        },
        {"idempotency_key": f"refund:{order.pk}"},
    )


@transaction.atomic
def _refuse(order: RefundOrder, why: str) -> None:
    """Stripe does not give it back: the credit can be spent again."""
    ledger.lock_credit([order.topup.organization_id])
    waiting = RefundOrder.objects.filter(pk=order.pk, status=RefundOrderStatus.WAITING)
    if waiting.update(status=RefundOrderStatus.REFUSED, error=why[:200], ended_at=Now()) == 1:
        ledger.resolve_holds([ledger.Resolution(hold_id=order.pk, status=HoldStatus.VOIDED)])


def _sum(rows: QuerySet[Any]) -> int:
    return int(rows.aggregate(sum=Sum("amount_nano"))["sum"] or 0)
