"""Subscriptions: months follow each other."""

from __future__ import annotations

from celery import shared_task

from store.subscriptions.actions import due_subscriptions, renew_subscription
from store.subscriptions.actions.renewing import BATCH


@shared_task(name="subscriptions.due")
def renew_due() -> None:
    """Pays every month that is due, each in a transaction of its own."""
    while due := due_subscriptions():
        for subscription_id in due:
            renew_subscription(subscription_id)
        if len(due) < BATCH:
            break
