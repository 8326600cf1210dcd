"""Events from Stripe: believed if they are signed, kept once, acted on by a task.

An event only says where to look. What happened is read from Stripe when it is acted on, so neither the order of events nor their number
matters, and one that never came is found by asking (``reconciling``).
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final, NamedTuple

import stripe
from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from store.billing.models import QuarantineReason, StripeEvent
from store.billing.settling import quarantine, settle_payment, settle_session
from store.errors import InvalidRequest
from store.outbox import send_after_commit

TASK: Final = "billing.event"
TOLERANCE_S: Final = 300  # on both sides: the official client believes any time to come
SENDING_S: Final = 60  # a worker has this long before another takes the event up
BATCH: Final = 200

logger = logging.getLogger(__name__)


class BadSignature(InvalidRequest):
    """Stripe did not send this, or not now."""

    code = "bad_signature"


class Watcher(NamedTuple):
    """An app that acts on events of its own kinds, too: ``act(type, object_id, account)`` after which nothing more is done about one.

    ``knows``: whether a connected account is one of this store's. ``prefix``: types of events about the store's own account.
    """

    prefix: str
    knows: Callable[[str], bool]
    act: Callable[[str, str, str], None]


_watchers: list[Watcher] = []


def watch(watcher: Watcher) -> None:
    """Adds an app that is told; when Django is ready."""
    _watchers.append(watcher)


def receive(*, body: bytes, signature: str) -> StripeEvent:
    """Keeps an event, and sends it on its way if it is new. Raises BadSignature."""
    event = _verified(body, signature)
    with transaction.atomic():
        row, is_new = StripeEvent.objects.get_or_create(
            id=event["id"], defaults={"type": event["type"], "payload": event}
        )
        if is_new:
            send_after_commit(TASK, row.pk)
    return row


def _verified(body: bytes, signature: str) -> dict[str, Any]:
    try:
        _verify(body, signature)
        signed_at = int(dict(part.split("=", 1) for part in signature.split(",") if part.startswith("t="))["t"])
        event = json.loads(body)
        is_event = (
            isinstance(event["id"], str)
            and isinstance(event["type"], str)
            and isinstance(event["data"]["object"], dict)
        )
    except (stripe.SignatureVerificationError, ValueError, KeyError, TypeError) as error:
        raise BadSignature("This is no event that Stripe has signed for this store.") from error
    if signed_at > time.time() + TOLERANCE_S or not is_event:
        raise BadSignature("This event was signed at a time to come, or is none.")
    return dict(event)


def _verify(body: bytes, signature: str) -> None:
    """By the secret of either endpoint: events of connected accounts come to one of their own. Raises stripe.SignatureVerificationError."""
    try:
        stripe.WebhookSignature.verify_header(body, signature, settings.STRIPE_WEBHOOK_SECRET, TOLERANCE_S)
    except stripe.SignatureVerificationError:
        if not settings.STRIPE_CONNECT_WEBHOOK_SECRET:
            raise
        stripe.WebhookSignature.verify_header(body, signature, settings.STRIPE_CONNECT_WEBHOOK_SECRET, TOLERANCE_S)


def process_event(event_id: str) -> None:
    """Acts on an event if it is due. One that fails stays due, later each time."""
    now = timezone.now()
    due = StripeEvent.objects.filter(pk=event_id, processed_at=None, due_at__lte=now)
    if due.update(due_at=now + timedelta(seconds=SENDING_S), attempts=F("attempts") + 1) != 1:
        return
    event = StripeEvent.objects.get(pk=event_id)
    try:
        _act(event)
    except stripe.StripeError as error:
        logger.warning("event %s is taken up again: %s", event_id, error)
        later = timezone.now() + timedelta(seconds=min(2**event.attempts, 3600))
        StripeEvent.objects.filter(pk=event_id).update(due_at=later)
        return
    StripeEvent.objects.filter(pk=event_id).update(processed_at=timezone.now())


def due_events() -> list[str]:
    """Ids of events that wait: the message about them was lost, or Stripe did not answer."""
    due = StripeEvent.objects.filter(processed_at=None, due_at__lte=timezone.now())
    return list(due.order_by("due_at").values_list("pk", flat=True)[:BATCH])


def _act(event: StripeEvent) -> None:
    said = event.payload["data"]["object"]
    object_id = str(said.get("id", ""))
    if bool(event.payload.get("livemode")) != settings.STRIPE_LIVE:
        quarantine(object_id, QuarantineReason.MODE, expected=settings.STRIPE_LIVE, found=event.payload.get("livemode"))
    elif watcher := _watcher_of(event):
        watcher.act(event.type, object_id, str(event.payload.get("account") or ""))
    elif event.payload.get("account"):
        quarantine(object_id, QuarantineReason.ACCOUNT, expected="this store's own", found=event.payload["account"])
    elif event.type.startswith("checkout.session."):
        settle_session(object_id)
    elif event.type.startswith("payment_intent."):
        settle_payment(object_id)
    elif event.type.startswith(("charge.", "refund.")) and said.get("payment_intent"):
        settle_payment(str(said["payment_intent"]))


def _watcher_of(event: StripeEvent) -> Watcher | None:
    account = event.payload.get("account")
    return next(
        (each for each in _watchers if (each.knows(str(account)) if account else event.type.startswith(each.prefix))),
        None,
    )
