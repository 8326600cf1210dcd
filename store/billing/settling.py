"""Makes the books say what Stripe says of a payment. Doing it again, or twice at once, changes nothing."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import stripe
from django.conf import settings
from django.db import transaction

from store.billing.cards import settle_setup
from store.billing.checkout import CURRENCY, NANO_PER_CENT
from store.billing.customers import place_now
from store.billing.models import Customer, Quarantine, QuarantineReason, Topup, TopupMode, TopupStatus
from store.billing.papers.issuing import issue_papers
from store.billing.paying import Paid, read_paid
from store.billing.promo import add_to_topup
from store.billing.reversing import book_dispute, book_refund
from store.billing.stripe_client import client
from store.billing.wallets import bank_of
from store.ledger import actions as ledger
from store.ledger.models import TransferKind, WalletKind

PAGE = 100


def settle_session(session_id: str) -> None:
    """Settles the payment of a Checkout page, or ends its top-up where it expired; keeps the card of a page for that. Raises stripe.StripeError."""
    session = client().v1.checkout.sessions.retrieve(session_id)
    if session.mode == "setup":
        settle_setup(session)
        return
    topup = _topup(session.client_reference_id)
    if topup is None:
        quarantine(session.id, QuarantineReason.UNKNOWN, expected="a top-up", found=session.client_reference_id)
    elif session.status == "expired":
        Topup.objects.filter(pk=topup.pk, status=TopupStatus.PENDING).update(status=TopupStatus.EXPIRED)
    elif session.status == "complete" and session.payment_status != "paid":
        quarantine(session.id, QuarantineReason.UNPAID, topup=topup, expected="paid", found=session.payment_status)
    elif session.payment_intent:
        settle_payment(str(session.payment_intent))


def settle_payment(intent_id: str) -> None:
    """Credits what was paid as it was asked for, then books what went back of it. Raises stripe.StripeError."""
    v1 = client().v1
    intent = v1.payment_intents.retrieve(intent_id)
    if intent.status != "succeeded":
        return
    refunds = list(v1.refunds.list({"payment_intent": intent_id, "limit": PAGE}).auto_paging_iter())
    disputes = list(v1.disputes.list({"payment_intent": intent_id, "limit": PAGE}).auto_paging_iter())
    topup = _topup(getattr(intent.metadata, "topup", None))
    if topup is None:
        quarantine(intent.id, QuarantineReason.UNKNOWN, expected="a top-up", found="none")
        return
    paid = read_paid(topup, intent.id)
    if _is_wrong(intent, topup, paid):
        return
    credit_id = ledger.wallet_of(topup.organization_id, WalletKind.CREDIT).pk
    with transaction.atomic():
        ledger.lock_credit([topup.organization_id])
        if not _credit(topup, intent.id, credit_id, paid):
            quarantine(intent.id, QuarantineReason.SECOND, topup=topup, expected=topup.payment_intent, found=intent.id)
            return
        for refund in reversed(refunds):  # in the order in which they were made
            book_refund(topup, refund)
        for dispute in reversed(disputes):
            book_dispute(topup, dispute)
        issue_papers(topup)


def quarantine(
    object_id: str, reason: QuarantineReason, *, expected: object, found: object, topup: Topup | None = None
) -> None:
    """Shows something to the people who run the store, once."""
    Quarantine.objects.get_or_create(
        object_id=object_id, reason=reason,
        defaults={"topup": topup, "expected": str(expected)[:200], "found": str(found)[:200]},
    )  # fmt: skip


def _topup(id: Any) -> Topup | None:
    try:
        return Topup.objects.filter(pk=UUID(str(id))).first()
    except ValueError:
        return None


def _is_wrong(intent: stripe.PaymentIntent, topup: Topup, paid: Paid) -> bool:
    """Whether the payment is not what was asked for, and its tax; each difference is shown."""
    mine = Customer.objects.filter(organization_id=topup.organization_id, place=place_now())
    customer = mine.values_list("stripe_id", flat=True).first()
    asked: list[tuple[QuarantineReason, object, object]] = [
        (QuarantineReason.AMOUNT, (topup.amount_nano + paid.tax_nano) // NANO_PER_CENT, intent.amount_received),
        (QuarantineReason.AMOUNT, topup.amount_nano, topup.amount_nano if paid.net_nano is None else paid.net_nano),
        (QuarantineReason.CURRENCY, CURRENCY, intent.currency),
        (QuarantineReason.MODE, settings.STRIPE_LIVE, intent.livemode),
        (QuarantineReason.MODE, topup.mode, TopupMode.LIVE if intent.livemode else TopupMode.TEST),
        (QuarantineReason.ACCOUNT, customer, intent.customer),
    ]
    wrong = [(reason, expected, found) for reason, expected, found in asked if expected != found]
    for reason, expected, found in wrong:
        quarantine(intent.id, reason, topup=topup, expected=expected, found=found)
    return bool(wrong)


def _credit(topup: Topup, intent_id: str, credit_id: int, paid: Paid) -> bool:
    """Moves the money if it has not moved; False where another payment has paid this top-up."""
    waiting = Topup.objects.filter(pk=topup.pk, payment_intent=None).exclude(status=TopupStatus.PAID)
    waiting.update(status=TopupStatus.PAID, payment_intent=intent_id, tax_nano=paid.tax_nano, buyer=paid.buyer)
    topup.refresh_from_db()
    if topup.payment_intent != intent_id:
        return False
    is_new = ledger.transfer(
        key=f"topup:{topup.pk}",
        debit_id=bank_of(topup),
        credit_id=credit_id,
        amount_nano=topup.amount_nano,
        kind=TransferKind.TOPUP,
    )
    if is_new and topup.tax_nano:
        ledger.transfer(
            key=f"topup:{topup.pk}:tax", debit_id=bank_of(topup), credit_id=ledger.store_wallet(WalletKind.TAX).pk,
            amount_nano=topup.tax_nano, kind=TransferKind.TAX,
        )  # fmt: skip
    if is_new:
        add_to_topup(topup)
    return True
