"""Events go to the store's webhook, signed as Stripe signs them, until it answers 2xx."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import logging
import time
from collections.abc import Callable
from datetime import timedelta
from urllib.parse import urlsplit

from django.conf import settings
from django.db.models import F
from django.utils import timezone

from store.sandbox import faults
from store.sandbox.models import Delivery

TIMEOUT_S = 20.0
FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 3600.0
BATCH = 50
PATH = "/stripe/webhook"
logger = logging.getLogger(__name__)

Post = Callable[[bytes, dict[str, str]], int]


def sign(body: bytes, secret: str, *, at: int | None = None) -> str:
    """The ``Stripe-Signature`` header, scheme v1. https://docs.stripe.com/webhooks#verify-manually"""
    when = int(time.time()) if at is None else at
    digest = hmac.new(secret.encode(), f"{when}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={when},v1={digest}"


def post(body: bytes, headers: dict[str, str]) -> int:
    """Sends to the store; returns its status. Raises OSError and HTTPException."""
    where = urlsplit(settings.INTERNAL_URL)
    kind = http.client.HTTPSConnection if where.scheme == "https" else http.client.HTTPConnection
    connection = kind(where.netloc, timeout=TIMEOUT_S)
    try:
        connection.request("POST", PATH, body, headers)
        return connection.getresponse().status
    finally:
        connection.close()


def deliver_due(send: Post = post) -> int:
    """Sends what is due, oldest first; returns how many were delivered."""
    due = Delivery.objects.filter(delivered_at=None, due_at__lte=timezone.now()).select_related("event")
    return sum(_deliver(delivery, send) for delivery in due.order_by("event__number")[:BATCH])


def _deliver(delivery: Delivery, send: Post) -> bool:
    body = json.dumps(delivery.event.data).encode()
    is_connected = "account" in delivery.event.data  # Stripe tells these to an endpoint with a secret of its own
    secret = settings.STRIPE_CONNECT_WEBHOOK_SECRET if is_connected else settings.STRIPE_WEBHOOK_SECRET
    headers = {"Content-Type": "application/json", "Stripe-Signature": sign(body, secret)}
    fault = faults.take("WEBHOOK", delivery.event.data["type"])
    try:
        if fault and fault.kind == "repeat":
            send(body, headers)
        status = send(body, headers)
        said = str(status)
    except (OSError, http.client.HTTPException) as error:
        status, said = 0, str(error)
    mine = Delivery.objects.filter(pk=delivery.pk)
    if 200 <= status < 300:
        mine.update(delivered_at=timezone.now(), attempts=F("attempts") + 1, last_answer=said)
        return True
    wait_s = min(FIRST_WAIT_S * 2**delivery.attempts, LONGEST_WAIT_S)
    logger.warning("%s was not taken (%s); again in %g s", delivery.event_id, said, wait_s)
    later = timezone.now() + timedelta(seconds=wait_s)
    mine.update(due_at=later, attempts=F("attempts") + 1, last_answer=said[:200])
    return False
