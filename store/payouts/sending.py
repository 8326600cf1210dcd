"""What a payout needs of Stripe: a transfer to the account, a payout of the account to its bank, and both looked at until they end.

No call is made in a transaction. Each has a key that is made of the payout's id, so that one whose answer was lost is asked for again. Stripe
remembers keys for a day: an attempt after the first looks for what the earlier ones may have made before it makes anything.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from uuid import UUID

import stripe
from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone

from store.billing.checkout import CURRENCY, NANO_PER_CENT
from store.billing.customers import place_now
from store.billing.stripe_client import client
from store.payouts.ending import MOST_MESSAGE, WATCH_DAYS, WATCH_EVERY, give_back, move, settle_paid, undo_paid
from store.payouts.models import Payout, PayoutStatus

LEASE = timedelta(minutes=3)  # a worker has this long before another takes the payout up
LOOK_EVERY = timedelta(hours=1)  # while a bank has it; an event comes sooner
LONGEST_WAIT_S = 3600
MOST_TROUBLE = 300
BATCH = 200
PAGE = 100
UNSENT = "transfer_refused"
REVERSED, REVERSED_MESSAGE = "transfer_reversed", "The transfer was reversed at Stripe."

logger = logging.getLogger(__name__)


class Refused(Exception):
    """Stripe will not do it, however often it is asked."""

    def __init__(self, code: str, message: str) -> None:
        self.code, self.message = code, message
        super().__init__(message)


def due_payouts() -> list[UUID]:
    """Ids of payouts that something is to be done about."""
    due = Payout.objects.filter(due_at__lte=timezone.now())
    return list(due.order_by("due_at").values_list("pk", flat=True)[:BATCH])


def look_again(stripe_account: str) -> list[UUID]:
    """Makes the payouts of an account due that can still change, for Stripe has told that something has. Returns their ids."""
    open_ones = Payout.objects.filter(
        account__stripe_id=stripe_account, status__in=(PayoutStatus.IN_FLIGHT, PayoutStatus.PAID), due_at__isnull=False
    )
    ids = list(open_ones.order_by("-pk").values_list("pk", flat=True)[:BATCH])
    Payout.objects.filter(pk__in=ids, due_at__isnull=False).update(due_at=Now())
    return ids


def advance(payout_id: UUID) -> None:
    """Does the next step of a payout, if it is due. One that Stripe does not answer for stays due, later each time."""
    now = timezone.now()
    due = Payout.objects.filter(pk=payout_id, due_at__lte=now)
    if due.update(due_at=now + LEASE, attempts=F("attempts") + 1) != 1:
        return
    payout = Payout.objects.select_related("account", "organization").get(pk=payout_id)
    try:
        _step(payout)
    except stripe.StripeError as error:
        wait_s = min(2.0**payout.attempts, LONGEST_WAIT_S)
        _later(payout, timedelta(seconds=wait_s), trouble=f"{type(error).__name__}: {error}")


def _step(payout: Payout) -> None:
    if payout.account.place != place_now():
        _later(payout, LOOK_EVERY, trouble=f"made with other keys, at {payout.account.place}")
    elif payout.status == PayoutStatus.PAID:
        _watch(payout)
    elif payout.status == PayoutStatus.IN_FLIGHT or move(
        payout, PayoutStatus.IN_FLIGHT, expected=PayoutStatus.PENDING, sent_at=Now()
    ):
        _send(payout)


def _send(payout: Payout) -> None:
    """From the transfer to the bank, as far as it goes now. Raises stripe.StripeError."""
    try:
        transfer = _transfer_of(payout)
    except Refused as refused:
        give_back(payout, PayoutStatus.FAILED, code=refused.code, message=refused.message)
        return
    if transfer.reversed:
        _end_reversed(payout)
        return
    try:
        sent = _sent_to_bank(payout, transfer)
    except Refused as refused:
        _fail(payout, transfer, refused.code, refused.message)
        return
    if sent.status == "paid":
        settle_paid(payout)
    elif sent.status in ("failed", "canceled"):
        _fail(payout, transfer, _code(sent), _message(sent))
    else:
        _later(payout, LOOK_EVERY)


def _fail(payout: Payout, transfer: stripe.Transfer, code: str, message: str) -> None:
    """Takes the money back from the account, then puts it back into the earnings. The reason is written down before: see below."""
    Payout.objects.filter(pk=payout.pk, status=PayoutStatus.IN_FLIGHT).update(
        failure_code=code, failure_message=message[:MOST_MESSAGE]
    )
    _take_back(payout, transfer)
    give_back(payout, PayoutStatus.FAILED, code=code, message=message)


def _end_reversed(payout: Payout) -> None:
    """Reversed by us, whose process died then: it has failed, for the reason that was written down. Else by a person at Stripe."""
    if payout.failure_code:
        give_back(payout, PayoutStatus.FAILED, code=payout.failure_code, message=payout.failure_message)
    else:
        give_back(payout, PayoutStatus.REVERSED, code=REVERSED, message=REVERSED_MESSAGE)


def _watch(payout: Payout) -> None:
    """Whether what was paid has come back. Raises stripe.StripeError."""
    transfer = client().v1.transfers.retrieve(str(payout.stripe_transfer))
    sent = _payout_at_bank(payout)
    if sent.status == "failed":
        _take_back(payout, transfer)
        undo_paid(payout, code=_code(sent), message=_message(sent))
    elif transfer.reversed:
        undo_paid(payout, code=REVERSED, message=REVERSED_MESSAGE)
    else:
        is_over = payout.finished_at and timezone.now() - payout.finished_at > timedelta(days=WATCH_DAYS)
        Payout.objects.filter(pk=payout.pk).update(due_at=None if is_over else timezone.now() + WATCH_EVERY, trouble="")


def _transfer_of(payout: Payout) -> stripe.Transfer:
    """The transfer, as it is now: made once. Raises Refused, stripe.StripeError."""
    v1, group = client().v1, f"payout:{payout.pk}"
    if payout.stripe_transfer:
        return v1.transfers.retrieve(payout.stripe_transfer)
    made = _found_transfer(group) if payout.attempts > 1 else None
    try:
        made = made or v1.transfers.create(
            {
                "amount": payout.sent_nano // NANO_PER_CENT,
                "currency": CURRENCY,
                "destination": str(payout.account.stripe_id),
                "transfer_group": group,
                "metadata": {"payout": str(payout.pk)},
            },
            {"idempotency_key": group},
        )
    except (stripe.InvalidRequestError, stripe.PermissionError) as error:
        made = _found_transfer(group)
        if made is None:
            _raise_if_final(error)
            raise
    Payout.objects.filter(pk=payout.pk).update(stripe_transfer=made.id)
    payout.stripe_transfer = made.id
    return made


def _found_transfer(group: str) -> stripe.Transfer | None:
    return next(iter(client().v1.transfers.list({"transfer_group": group, "limit": 1}).data), None)


def _sent_to_bank(payout: Payout, transfer: stripe.Transfer) -> stripe.Payout:
    """The account's payout to its bank, of all that the transfer brought: made once. Raises Refused, stripe.StripeError."""
    if payout.stripe_payout:
        return _payout_at_bank(payout)
    made = _found_payout(payout) if payout.attempts > 1 else None
    if made is None:
        amount, currency = _arrived(payout, transfer)
        try:
            made = client().v1.payouts.create(
                {"amount": amount, "currency": currency, "metadata": {"payout": str(payout.pk)}},
                {"idempotency_key": f"payout:{payout.pk}:bank", "stripe_account": str(payout.account.stripe_id)},
            )
        except (stripe.InvalidRequestError, stripe.PermissionError) as error:
            made = _found_payout(payout)
            if made is None:
                _raise_if_final(error)
                raise
    Payout.objects.filter(pk=payout.pk).update(
        stripe_payout=made.id, arrived_minor=made.amount, arrived_currency=made.currency
    )
    payout.stripe_payout, payout.arrived_minor, payout.arrived_currency = made.id, made.amount, made.currency
    return made


def _payout_at_bank(payout: Payout) -> stripe.Payout:
    return client().v1.payouts.retrieve(
        str(payout.stripe_payout), None, {"stripe_account": str(payout.account.stripe_id)}
    )


def _found_payout(payout: Payout) -> stripe.Payout | None:
    since = int(payout.sent_at.timestamp()) - PAGE if payout.sent_at else 0
    made = client().v1.payouts.list(
        {"created": {"gte": since}, "limit": PAGE}, {"stripe_account": str(payout.account.stripe_id)}
    )
    mine = (each for each in made.auto_paging_iter() if getattr(each.metadata, "payout", None) == str(payout.pk))
    return next(mine, None)


def _arrived(payout: Payout, transfer: stripe.Transfer) -> tuple[int, str]:
    """What the account was credited: in its own currency, at Stripe's rate, in the smallest unit."""
    payment = client().v1.charges.retrieve(
        str(transfer.destination_payment),
        {"expand": ["balance_transaction"]},
        {"stripe_account": str(payout.account.stripe_id)},
    )
    entry = payment.balance_transaction
    if not isinstance(entry, stripe.BalanceTransaction):
        raise stripe.APIError(f"no balance transaction with {payment.id}")
    return entry.net, entry.currency


def _take_back(payout: Payout, transfer: stripe.Transfer) -> None:
    """Reverses the transfer, once. Raises stripe.StripeError: then nothing is given back yet."""
    if transfer.reversed:
        return
    client().v1.transfers.reversals.create(
        transfer.id, {"metadata": {"payout": str(payout.pk)}}, {"idempotency_key": f"payout:{payout.pk}:reversal"}
    )


def _raise_if_final(error: stripe.StripeError) -> None:
    """A lack of money passes, and a key that is in use does; anything else does not. Raises Refused."""
    if error.code not in ("balance_insufficient", "lock_timeout", "rate_limit", "idempotency_key_in_use"):
        raise Refused(error.code or UNSENT, error.user_message or str(error)) from error


def _code(sent: stripe.Payout) -> str:
    return sent.failure_code or f"payout_{sent.status}"


def _message(sent: stripe.Payout) -> str:
    return sent.failure_message or "The bank did not take it."


def _later(payout: Payout, wait: timedelta, *, trouble: str = "") -> None:
    if trouble:
        logger.warning("payout %s waits: %s", payout.pk, trouble)
    open_ones = Payout.objects.filter(pk=payout.pk, due_at__isnull=False)
    open_ones.update(due_at=timezone.now() + wait, trouble=trouble[:MOST_TROUBLE])
