"""Finds what no event has told: Stripe's own lists are held against ours."""

from __future__ import annotations

import logging
import time
from datetime import timedelta

import stripe
from django.db.models.functions import Now
from django.utils import timezone

from store.billing.cards import open_setup
from store.billing.checkout import open_session
from store.billing.customers import place_now
from store.billing.models import CardSetup, Dispute, DisputeStatus, Refund, Topup, TopupStatus
from store.billing.settling import settle_payment, settle_session
from store.billing.stripe_client import client
from store.errors import InvalidRequest

DAYS = 3  # Stripe sends an event for three days before it gives up
PAGE = 100
BATCH = 100
UNPAID_DAYS = 7  # a customer has so long to come to a page that was mailed

logger = logging.getLogger(__name__)


def reconcile(*, days: int = DAYS) -> int:
    """Settles every payment of the last days that the books do not know as Stripe does; returns how many. Raises stripe.StripeError."""
    v1, since = client().v1, int(time.time()) - days * 86_400
    missing: set[str] = set()
    for intent in v1.payment_intents.list({"created": {"gte": since}, "limit": PAGE}).auto_paging_iter():
        if intent.status == "succeeded" and not Topup.objects.filter(payment_intent=intent.id).exists():
            missing.add(intent.id)
    for refund in v1.refunds.list({"created": {"gte": since}, "limit": PAGE}).auto_paging_iter():
        if not Refund.objects.filter(pk=refund.id).exists():
            missing.add(str(refund.payment_intent))
    for dispute in v1.disputes.list({"created": {"gte": since}, "limit": PAGE}).auto_paging_iter():
        missing |= set() if _is_known(dispute) else {str(dispute.payment_intent)}
    for dispute_id in Dispute.objects.filter(status=DisputeStatus.OPEN).values_list("pk", flat=True):
        missing |= _decided(dispute_id)  # one that is older than the lists
    for intent_id in missing:
        settle_payment(intent_id)
    _end_old_pages()
    _end_unpaid()
    _find_cards()
    return len(missing)


def _is_known(dispute: stripe.Dispute) -> bool:
    known = Dispute.objects.filter(pk=dispute.id).first()
    return known is not None and (known.status == dispute.status or dispute.status not in DisputeStatus.values)


def _decided(dispute_id: str) -> set[str]:
    try:
        dispute = client().v1.disputes.retrieve(dispute_id)
    except stripe.InvalidRequestError:  # of the sandbox, or of other keys
        return set()
    return set() if _is_known(dispute) else {str(dispute.payment_intent)}


def _end_old_pages() -> None:
    """Top-ups that wait: their pages were paid, or have expired. One whose page was never seen is asked for with the same key."""
    waiting = (
        Topup.objects.filter(status=TopupStatus.PENDING)
        .exclude(is_automatic=True, checkout_session=None)  # the clock of automatic top-ups looks after these
        .select_related("organization")
        .order_by("created_at")[:BATCH]
    )
    for topup in waiting:
        try:
            settle_session(topup.checkout_session or open_session(topup).id)
        except (stripe.InvalidRequestError, InvalidRequest) as error:  # made in the sandbox, or with other keys
            logger.info("top-up %s cannot be paid any more: %s", topup.pk, error)
            Topup.objects.filter(pk=topup.pk, status=TopupStatus.PENDING).update(status=TopupStatus.EXPIRED)


def _end_unpaid() -> None:
    """Automatic top-ups whose bank wanted to see the customer, who has not come."""
    waiting = Topup.objects.filter(
        is_automatic=True, status=TopupStatus.PENDING, checkout_session=None, auto_topup=None,
        created_at__lt=timezone.now() - timedelta(days=UNPAID_DAYS),
    )  # fmt: skip
    waiting.update(status=TopupStatus.EXPIRED)


def _find_cards() -> None:
    """Pages on which a card is saved, and of whose end no event came."""
    for setup in CardSetup.objects.filter(ended_at=None, place=place_now()).select_related("organization")[:BATCH]:
        try:
            settle_session(setup.session or open_setup(setup).id)
        except (stripe.InvalidRequestError, InvalidRequest) as error:
            logger.info("the page %s for a card is there no more: %s", setup.pk, error)
            CardSetup.objects.filter(pk=setup.pk, ended_at=None).update(ended_at=Now())
