"""What leaves the shelf by the clock."""

from __future__ import annotations

from celery import shared_task

from store.catalog.actions.listings import withdraw_ended


@shared_task(name="shelf.shutdowns")
def withdraw_listings() -> None:
    """Withdraws deprecated listings whose last day has come."""
    withdraw_ended()
