"""What is posted, and its signature: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from standardwebhooks.webhooks import Webhook

from store.webhooks.models import WebhookEvent

USER_AGENT = "GPT-Store-Webhooks/1"


def payload(event: WebhookEvent) -> dict[str, Any]:
    """The body: OpenAI's shape of an event, with the ``timestamp`` that Standard Webhooks asks for. The same at every attempt."""
    return {
        "id": event.public_id,
        "object": "event",
        "type": event.type,
        "created_at": int(event.created_at.timestamp()),
        "timestamp": event.created_at.isoformat(),
        "data": event.data,
    }


def as_json(body: dict[str, Any]) -> str:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":"))


def signed_headers(*, event_id: str, body: str, secrets: Iterable[str], now: datetime) -> dict[str, str]:
    """The headers of one attempt at ``now`` (UTC): one signature for each secret that is valid, the newest first."""
    signatures = [Webhook(secret).sign(msg_id=event_id, timestamp=now, data=body) for secret in secrets]
    return {
        "content-type": "application/json",
        "user-agent": USER_AGENT,
        "webhook-id": event_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": " ".join(signatures),
    }
