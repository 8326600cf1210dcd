"""What is due is delivered: one at a time to each endpoint, whichever worker does it.

At least once. An attempt is taken by a compare-and-set that moves its time on, so two workers never have the same one in hand; but a
worker that dies between the receiver's answer and the row leaves a delivery that is due again, with the same ``webhook-id``.
"""

from __future__ import annotations

import logging
import secrets
from datetime import datetime, timedelta
from typing import Any, Final

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext as _

from store.webhooks.actions.notices import tell_owners
from store.webhooks.models import (
    Delivery,
    DeliveryStatus,
    DisabledReason,
    Notice,
    WebhookEndpoint,
    WebhookEndpointQuerySet,
)
from store.webhooks.posting import Answer, post
from store.webhooks.sealing import SealBroken, unseal
from store.webhooks.signing import as_json, payload, signed_headers

MINUTE, HOUR = 60, 3600
# After the first attempt, in seconds: what Standard Webhooks proposes. Ten attempts in three days and four hours.
RETRY_AFTER_S: Final = (
    5, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR,
)  # fmt: skip
JITTER: Final = 0.2  # of a delay, on top of it: what failed together does not come back together
LEASE_S: Final = 60.0  # more than an attempt takes; then its worker is dead
FAILING: Final = timedelta(days=3)  # an endpoint that took nothing for so long is disabled
REST_MIN_S, REST_MAX_S = 10, 300  # of an endpoint that hangs, so that it does not keep a worker from all others

logger = logging.getLogger(__name__)


def deliver_next() -> bool:
    """Makes one attempt of one delivery that is due, of the endpoint whose turn it is. False: there was none."""
    delivery = _take()
    if delivery is None:
        return False
    answer = _attempt(delivery)
    logger.info(
        "webhook %s to endpoint %s: %s", delivery.event.public_id, delivery.endpoint_id, answer.status or answer.error
    )
    _note(delivery, answer)
    return True


def is_anything_due() -> bool:
    """Whether there is something that ``deliver_next`` would take now."""
    return _free().exists()


def _free() -> WebhookEndpointQuerySet:
    """The endpoints to which something can be sent now."""
    due = Delivery.objects.filter(endpoint=OuterRef("pk"), status=DeliveryStatus.PENDING, due_at__lte=Now())
    return WebhookEndpoint.objects.filter(Exists(due), disabled_at=None, free_at__lte=Now())


@transaction.atomic
def _take() -> Delivery | None:
    """The endpoint that has waited longest, and of it what has been due longest; both are this worker's for LEASE_S."""
    waiting = _free().select_for_update(skip_locked=True, no_key=True)
    endpoint = waiting.order_by(F("tried_at").asc(nulls_first=True), "pk").first()
    if endpoint is None:
        return None
    due = endpoint.deliveries.filter(status=DeliveryStatus.PENDING, due_at__lte=Now()).order_by("due_at", "pk")
    delivery = due.select_for_update(of=("self",)).select_related("event").first()
    if delivery is None:  # sent by another worker between the two looks
        return None
    until = Now() + timedelta(seconds=LEASE_S)
    WebhookEndpoint.objects.filter(pk=endpoint.pk).update(free_at=until, tried_at=Now())
    Delivery.objects.filter(pk=delivery.pk).update(attempts=F("attempts") + 1, due_at=until, tried_at=Now())
    delivery.attempts += 1
    delivery.endpoint = endpoint
    return delivery


def _attempt(delivery: Delivery) -> Answer:
    endpoint, now = delivery.endpoint, timezone.now()
    try:
        valid = [unseal(endpoint.sealed_secret)]
        if endpoint.signs_twice:
            valid.append(unseal(endpoint.old_sealed_secret))
    except SealBroken:
        return Answer(
            0, error=_("The secret cannot be read any more, for the store has another SECRET_KEY. Rotate it.")
        )
    body = as_json(payload(delivery.event))
    headers = signed_headers(event_id=delivery.event.public_id, body=body, secrets=valid, now=now)
    allow_private = settings.WEBHOOKS_ALLOW_PRIVATE
    return post(endpoint.url, body=body.encode(), headers=headers, allow_private=allow_private)


@transaction.atomic
def _note(delivery: Delivery, answer: Answer) -> None:
    """Writes down what came of an attempt, if it is still the newest one."""
    endpoint = WebhookEndpoint.objects.select_for_update(no_key=True).filter(pk=delivery.endpoint_id).first()
    own = Delivery.objects.filter(pk=delivery.pk, attempts=delivery.attempts, status=DeliveryStatus.PENDING)
    row = own.select_for_update().first()
    if endpoint is None or row is None:  # deleted meanwhile, or taken for lost and sent again
        return
    now = timezone.now()
    rest_s = min(max(2 * endpoint.rest_s, REST_MIN_S), REST_MAX_S) if answer.is_late else 0
    WebhookEndpoint.objects.filter(pk=endpoint.pk).update(
        free_at=now + timedelta(seconds=rest_s), rest_s=rest_s, **({"succeeded_at": now} if answer.is_good else {})
    )
    own.update(
        response_status=answer.status, response_start=answer.start, error=answer.error, duration_ms=answer.duration_ms,
        **_what_follows(row, answer, now),
    )  # fmt: skip
    if answer.is_gone:
        _disable(endpoint, DisabledReason.GONE)
    elif not answer.is_good and row.retries >= len(RETRY_AFTER_S):
        _given_up(endpoint, now)


def _what_follows(row: Delivery, answer: Answer, now: datetime) -> dict[str, Any]:
    if answer.is_good:
        return {"status": DeliveryStatus.DELIVERED, "delivered_at": now}
    if answer.is_gone or row.retries >= len(RETRY_AFTER_S):
        return {"status": DeliveryStatus.DEAD}
    delay_s = max(RETRY_AFTER_S[row.retries], answer.retry_after_s)
    jitter_s = delay_s * JITTER * secrets.randbelow(1000) / 1000
    return {"due_at": now + timedelta(seconds=delay_s + jitter_s), "retries": row.retries + 1}


def _given_up(endpoint: WebhookEndpoint, now: datetime) -> None:
    took_something = Q(succeeded_at__gt=now - FAILING) | Q(enabled_at__gt=now - FAILING)
    if WebhookEndpoint.objects.filter(took_something, pk=endpoint.pk).exists():
        tell_owners(endpoint, Notice.UNDELIVERED)
    else:
        _disable(endpoint, DisabledReason.FAILING)


def _disable(endpoint: WebhookEndpoint, reason: DisabledReason) -> None:
    disabled = WebhookEndpoint.objects.filter(pk=endpoint.pk, disabled_at=None)
    if disabled.update(disabled_at=Now(), disabled_reason=reason):
        tell_owners(endpoint, Notice.DISABLED)
