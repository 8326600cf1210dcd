"""Subscribers are told what happens to their subscriptions."""

from __future__ import annotations

from store.subscriptions.models import Subscription
from store.webhooks.actions import emit


def tell(subscription: Subscription, what: str) -> None:
    """Emits ``subscription.<what>`` to whom it belongs, in the transaction of what happened."""
    period = subscription.period
    data = {
        "id": subscription.pk, "object": "subscription", "model": subscription.listing.name, "plan": subscription.plan.name,
        "status": subscription.status, "is_cancelled": subscription.is_cancelled, "charge_nano": period.charge_nano,
        "ends_at": period.ends_at.isoformat(), "end_reason": subscription.end_reason,
    }  # fmt: skip
    emit(organization=subscription.organization, type=f"subscription.{what}", data=data)
