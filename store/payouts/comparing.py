"""Stripe's transfers to providers, and their accounts' payouts to banks, held against the books, both ways. Nothing is changed here."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, Final

import stripe

from store.billing.comparing import DAYS, PAGE
from store.billing.customers import place_now
from store.billing.sides import CHUNK, NOTHING, Law, Said, words
from store.billing.stripe_client import client
from store.ledger.audit import Mismatch
from store.ledger.dollars import dollars
from store.payouts.models import ENDED_UNPAID, OPEN, Payout, PayoutQuerySet, PayoutStatus
from store.payouts.sending import REVERSED

STATES: Final = {
    "paid": "paid",
    "failed": "failed",
    "canceled": "failed",
}  # of a payout at a bank; any other is on its way
ON_ITS_WAY: Final = "on its way"


def compare_payouts(*, days: int = DAYS) -> list[Mismatch]:
    """What does not match of the last days' transfers and payouts. Raises stripe.StripeError."""
    since = int(time.time()) - days * 86_400
    listing: Any = {"created": {"gte": since}, "limit": PAGE}
    start = datetime.fromtimestamp(since, UTC)
    transfers = map(_transfer, client().v1.transfers.list(listing).auto_paging_iter())
    found = [*TRANSFER.compare(transfers, _transfers(_ours().filter(created_at__gte=start)))]
    banked = _ended().filter(created_at__gte=start)
    for account in banked.values_list("account__stripe_id", flat=True).distinct():
        theirs = client().v1.payouts.list(listing, {"stripe_account": str(account)}).auto_paging_iter()
        found += BANKED.compare(_of_ours(theirs), _banked(banked.filter(account__stripe_id=account)))
    return found


def _ours() -> PayoutQuerySet:
    return Payout.objects.filter(account__place=place_now())


def _transfer(transfer: stripe.Transfer) -> Said:
    if transfer.reversed:
        return Said(transfer.id, words("reversed", transfer.amount))
    return Said(transfer.id, words("sent", transfer.amount - transfer.amount_reversed))


def _transfers(rows: PayoutQuerySet) -> Iterator[Said]:
    """What ended without arriving was taken back."""
    for payout in rows.exclude(stripe_transfer=None).iterator(CHUNK):
        state = "reversed" if payout.status in ENDED_UNPAID else "sent"
        yield Said(str(payout.stripe_transfer), f"{state} {dollars(payout.sent_nano)}")


def _transfer_at_stripe(id: str) -> str:
    try:
        return _transfer(client().v1.transfers.retrieve(id)).words
    except stripe.InvalidRequestError:
        return NOTHING


def _ended() -> PayoutQuerySet:
    """Whose end at the bank is in the books. While one is open Stripe is asked anyway; a reversal by hand leaves the bank's as it was."""
    return _ours().exclude(stripe_payout=None).exclude(status__in=OPEN).exclude(failure_code=REVERSED)


def _of_ours(sent: Iterable[stripe.Payout]) -> Iterator[Said]:
    """An account may have payouts that the store did not ask for: those are its owner's."""
    said = {one.id: one for one in map(_at_bank, sent)}
    known = _ended().filter(stripe_payout__in=said).values_list("stripe_payout", flat=True)
    return (said[str(id)] for id in known)


def _at_bank(sent: stripe.Payout) -> Said:
    return Said(sent.id, _in_minor(STATES.get(sent.status, ON_ITS_WAY), sent.amount, sent.currency))


def _in_minor(state: str, amount: int, currency: str) -> str:
    return f"{state} {amount} {currency}"


def _banked(rows: PayoutQuerySet) -> Iterator[Said]:
    for payout in rows.iterator(CHUNK):
        state = "paid" if payout.status == PayoutStatus.PAID else "failed"
        yield Said(str(payout.stripe_payout), _in_minor(state, payout.arrived_minor or 0, payout.arrived_currency))


def _banked_at_stripe(id: str) -> str:
    payout = _ours().select_related("account").get(stripe_payout=id)
    try:
        sent = client().v1.payouts.retrieve(id, {}, {"stripe_account": str(payout.account.stripe_id)})
    except stripe.InvalidRequestError:
        return NOTHING
    return _at_bank(sent).words


TRANSFER: Final = Law(
    "transfer at Stripe",
    "Look at the transfer in Stripe's dashboard: one that no payout asked for was made by hand; reverse it there, or add a correction.",
    lambda ids: _transfers(_ours().filter(stripe_transfer__in=ids)),
    _transfer_at_stripe,
)
BANKED: Final = Law(
    "payout at Stripe",
    "Look at the provider's account in Stripe's dashboard. The books follow by themselves for ten days; afterwards add a correction.",
    lambda ids: _banked(_ended().filter(stripe_payout__in=ids)),
    _banked_at_stripe,
)
