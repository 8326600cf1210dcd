"""Stripe's payments, refunds and disputes held against the books, both ways: what one side has and the other has not, or has otherwise.

Nothing is changed here: what can be settled was settled by ``reconciling`` before, and what is left is for a person to look at.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Final

import stripe

from store.billing.checkout import mode_now
from store.billing.models import Dispute, DisputeStatus, Refund, Topup, TopupStatus
from store.billing.reversing import CLOSED, NO_LONGER_MONEY
from store.billing.sides import CHUNK, NOTHING, Law, Said, words
from store.billing.stripe_client import client
from store.ledger.audit import Mismatch
from store.ledger.dollars import dollars
from store.ledger.models import Transfer

DAYS: Final = 40  # of Stripe's lists that are read: a month's close, and some days
PAGE: Final = 100


def compare_payments(*, days: int = DAYS) -> list[Mismatch]:
    """What does not match of the last days' payments, refunds and disputes. Raises stripe.StripeError."""
    v1, since = client().v1, int(time.time()) - days * 86_400
    listing: Any = {"created": {"gte": since}, "limit": PAGE}
    start = datetime.fromtimestamp(since, UTC)
    refunds = list(v1.refunds.list(listing).auto_paging_iter())
    back = _sent_back(refunds)
    paid = (one for one in v1.payment_intents.list(listing).auto_paging_iter() if one.status == "succeeded")
    found = [*PAYMENT.compare(_payments(paid, back), _topups(created_at__gte=start))]
    found += REFUND.compare(_refunds_of_ours(_of_ours(refunds)), _refunds(created_at__gte=start))
    disputes = _of_ours(v1.disputes.list(listing).auto_paging_iter())
    found += DISPUTE.compare(map(_dispute, disputes), _disputes(created_at__gte=start))
    return found


def _sent_back(refunds: Iterable[stripe.Refund]) -> dict[str, int]:
    """Cents that went back, by payment."""
    back: dict[str, int] = {}
    for refund in refunds:
        if refund.status not in NO_LONGER_MONEY:
            back[str(refund.payment_intent)] = back.get(str(refund.payment_intent), 0) + refund.amount
    return back


def _payments(paid: Iterable[stripe.PaymentIntent], back: dict[str, int]) -> Iterator[Said]:
    """A payment that nobody's top-up asked for, and that went back whole, is as if it had never been."""
    rest = iter(paid)
    while chunk := list(islice(rest, CHUNK)):
        known = set(
            Topup.objects.filter(payment_intent__in=[one.id for one in chunk]).values_list("payment_intent", flat=True)
        )
        for one in chunk:
            if one.id in known or back.get(one.id, 0) < one.amount_received:
                yield Said(one.id, words("paid", one.amount_received))


def _of_ours(reversals: Iterable[Any]) -> Iterator[Any]:
    """Refunds and disputes of payments that are in the books; what became of others is said of the payment."""
    rest = iter(reversals)
    while chunk := list(islice(rest, CHUNK)):
        intents = {str(one.payment_intent) for one in chunk}
        known = set(Topup.objects.filter(payment_intent__in=intents).values_list("payment_intent", flat=True))
        yield from (one for one in chunk if one.payment_intent in known)


def _refunds_of_ours(refunds: Iterable[stripe.Refund]) -> Iterator[Said]:
    """One that failed before the books heard of it is in no row, and need not be."""
    rest = iter(refunds)
    while chunk := list(islice(rest, CHUNK)):
        booked = set(Refund.objects.filter(pk__in=[one.id for one in chunk]).values_list("pk", flat=True))
        yield from (_refund(one) for one in chunk if one.id in booked or one.status not in NO_LONGER_MONEY)


def _topups(**where: Any) -> Iterator[Said]:
    rows = Topup.objects.filter(**where, status=TopupStatus.PAID, mode=mode_now()).exclude(payment_intent=None)
    for intent, amount_nano, tax_nano in rows.values_list("payment_intent", "amount_nano", "tax_nano").iterator(CHUNK):
        yield Said(str(intent), f"paid {dollars(amount_nano + tax_nano)}")


def _payment_at_stripe(id: str) -> str:
    try:
        intent = client().v1.payment_intents.retrieve(id)
    except stripe.InvalidRequestError:
        return NOTHING
    return words("paid", intent.amount_received) if intent.status == "succeeded" else intent.status


def _refund(refund: stripe.Refund) -> Said:
    state = "failed" if refund.status in NO_LONGER_MONEY else "refunded"
    return Said(refund.id, words(state, refund.amount))


def _refunds(**where: Any) -> Iterator[Said]:
    """A refund that failed has moved its parts back."""
    rows = list(Refund.objects.filter(**where, topup__mode=mode_now()).values_list("pk", "amount_nano"))
    back = set(
        Transfer.objects.filter(
            key__in=[f"refund:{id}:back:{part}" for id, _amount in rows for part in ("credit", "platform")]
        ).values_list("key", flat=True)
    )
    for id, amount_nano in rows:
        is_back = bool({f"refund:{id}:back:credit", f"refund:{id}:back:platform"} & back)
        yield Said(id, f"{'failed' if is_back else 'refunded'} {dollars(amount_nano)}")


def _refund_at_stripe(id: str) -> str:
    try:
        return _refund(client().v1.refunds.retrieve(id)).words
    except stripe.InvalidRequestError:
        return NOTHING


def _dispute(dispute: stripe.Dispute) -> Said:
    return Said(dispute.id, words(CLOSED.get(dispute.status, DisputeStatus.OPEN), dispute.amount))


def _disputes(**where: Any) -> Iterator[Said]:
    rows = Dispute.objects.filter(**where, topup__mode=mode_now())
    for id, status, amount_nano in rows.values_list("pk", "status", "amount_nano").iterator(CHUNK):
        yield Said(id, f"{status} {dollars(amount_nano)}")


def _dispute_at_stripe(id: str) -> str:
    try:
        return _dispute(client().v1.disputes.retrieve(id)).words
    except stripe.InvalidRequestError:
        return NOTHING


PAYMENT: Final = Law(
    "payment at Stripe",
    "Look at the payment in Stripe's dashboard: settle it with billing.settling.settle_payment, refund it there, or add a correction.",
    lambda ids: _topups(payment_intent__in=ids),
    _payment_at_stripe,
)
REVERSAL_REMEDY: Final = "Settle its payment with billing.settling.settle_payment; where Stripe knows nothing of it, add a correction that moves it back."
REFUND: Final = Law("refund at Stripe", REVERSAL_REMEDY, lambda ids: _refunds(pk__in=ids), _refund_at_stripe)
DISPUTE: Final = Law("dispute at Stripe", REVERSAL_REMEDY, lambda ids: _disputes(pk__in=ids), _dispute_at_stripe)
