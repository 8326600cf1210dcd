"""Events go into the outbox."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any, Final

from django.db import transaction
from django.db.models.functions import Now

from store.accounts.models import Organization, User
from store.outbox import send_after_commit
from store.webhooks import event_types as types
from store.webhooks.actions.endpoints import DELIVER_TASK, require_keeper
from store.webhooks.errors import EndpointDisabled
from store.webhooks.models import Delivery, DeliveryStatus, WebhookEndpoint, WebhookEvent

MAX_DATA_BYTES: Final = 64 * 1024  # a receiver asks the API for more
EVENT_DAYS: Final = 30  # how long an event can be looked at and sent again


@transaction.atomic
def emit(*, organization: Organization, type: str, data: Mapping[str, Any]) -> WebhookEvent | None:
    """Tells the endpoints of ``organization`` that listen to ``type``: rows of the caller's transaction, sent once it has committed.

    None where nobody listens: such an event is not kept. Raises ValueError for a type that nobody registered, and for more than
    MAX_DATA_BYTES of JSON.
    """
    if types.find(type) is None:
        raise ValueError(f"{type!r} is no registered event type.")
    if len(json.dumps(data)) > MAX_DATA_BYTES:
        raise ValueError(f"An event of the type {type!r} has more than {MAX_DATA_BYTES} bytes.")
    listening = list(organization.webhook_endpoints.listening_to(type))
    return _send(organization, type, data, listening) if listening else None


@transaction.atomic
def send_test(*, endpoint: WebhookEndpoint, user: User) -> Delivery:
    """Sends the event ``webhook.test`` to this endpoint alone. Raises NotFound, PermissionDenied, EndpointDisabled."""
    require_keeper(endpoint, user)
    if endpoint.disabled_at:
        raise EndpointDisabled
    event = _send(endpoint.organization, types.TEST.name, types.TEST.example, [endpoint])
    return event.deliveries.get()


@transaction.atomic
def redeliver(*, delivery: Delivery, user: User) -> None:
    """Sends an event again, with the id that it had. One that waits for its next attempt goes now.

    Raises NotFound, PermissionDenied, EndpointDisabled.
    """
    require_keeper(delivery.endpoint, user)
    if delivery.endpoint.disabled_at:
        raise EndpointDisabled
    Delivery.objects.filter(pk=delivery.pk).update(status=DeliveryStatus.PENDING, due_at=Now(), retries=0)
    WebhookEndpoint.objects.filter(pk=delivery.endpoint_id).update(rest_s=0)
    send_after_commit(DELIVER_TASK)


def forget_events() -> int:
    """Deletes the events of which EVENT_DAYS have passed. Returns how many rows went."""
    count, _by_model = WebhookEvent.objects.filter(created_at__lt=Now() - timedelta(days=EVENT_DAYS)).delete()
    return count


def _send(
    organization: Organization, type: str, data: Mapping[str, Any], endpoints: Iterable[WebhookEndpoint]
) -> WebhookEvent:
    event = WebhookEvent.objects.create(organization=organization, type=type, data=dict(data))
    Delivery.objects.bulk_create([Delivery(event=event, endpoint=endpoint) for endpoint in endpoints])
    send_after_commit(DELIVER_TASK)
    return event
