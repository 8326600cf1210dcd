"""Webhooks as their pages show them: what was sent, and how a receiver verifies it."""

from __future__ import annotations

import json
from dataclasses import dataclass

from django.db.models import Case, Exists, OuterRef, Value, When

from store.accounts.models import Organization
from store.console.snippets import Snippet
from store.webhooks.models import Delivery, DeliveryStatus, WebhookEndpoint, WebhookEndpointQuerySet
from store.webhooks.signing import payload

PER_PAGE = 25
VERIFY = '''import os
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

webhook = Webhook(os.environ["WEBHOOK_SECRET"])

def receive(body: bytes, headers: dict[str, str]) -> int:
    """``body`` as it came, before any JSON is parsed. Returns the status of the answer."""
    try:
        event = webhook.verify(body, headers)
    except WebhookVerificationError:
        return 400
    # The same event can come twice: remember event["id"].
    print(event["type"], event["data"])
    return 204'''
UNWRAP = """import os
from openai import OpenAI

client = OpenAI(api_key="not used here", webhook_secret=os.environ["WEBHOOK_SECRET"])

def receive(body: bytes, headers: dict[str, str]) -> int:
    event = client.webhooks.unwrap(body, headers)  # raises InvalidWebhookSignatureError
    print(event.type, event.data.id)
    return 204"""
SNIPPETS = [
    Snippet("standardwebhooks", "Python", VERIFY),
    Snippet("openai", "OpenAI SDK", UNWRAP),
]


@dataclass(frozen=True, slots=True)
class DeliveryPage:
    """``older`` is the id before which the next page begins, None on the last."""

    deliveries: list[Delivery]
    older: int | None


def export_line(secret: str) -> str:
    """What puts a secret where the snippets look for it."""
    return f"export WEBHOOK_SECRET={secret}"


def endpoints_of(organization: Organization) -> WebhookEndpointQuerySet:
    """With ``is_failing``: it is enabled, and something that it did not take waits for it."""
    waiting = Delivery.objects.filter(endpoint=OuterRef("pk"), status=DeliveryStatus.PENDING, retries__gt=0)
    failing = When(Exists(waiting), disabled_at=None, then=Value(True))
    found = WebhookEndpoint.objects.filter(organization=organization).select_related("created_by")
    return found.annotate(is_failing=Case(failing, default=Value(False))).order_by("-pk")


def delivery_page(endpoint: WebhookEndpoint, *, before: int | None) -> DeliveryPage:
    """The newest deliveries that are older than ``before``."""
    found = endpoint.deliveries.select_related("event").order_by("-pk")
    if before:
        found = found.filter(pk__lt=before)
    rows = list(found[: PER_PAGE + 1])
    return DeliveryPage(rows[:PER_PAGE], rows[PER_PAGE - 1].pk if len(rows) > PER_PAGE else None)


def payload_text(delivery: Delivery) -> str:
    """What was or will be posted, for people to read."""
    return json.dumps(payload(delivery.event), indent=2, ensure_ascii=False)
