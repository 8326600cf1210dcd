"""Mails go out."""

from __future__ import annotations

from celery import shared_task

from store.catalog.actions.announcing import announce_price, due_announcements
from store.catalog.actions.notices import BATCH, send_notices


@shared_task(name="mail.notices")
def send_mails() -> None:
    """Sends every mail that is due."""
    while send_notices() == BATCH:
        pass


@shared_task(name="price.announce")
def announce(price_id: int) -> None:
    """Writes the mails about one scheduled price."""
    announce_price(price_id)


@shared_task(name="price.due")
def announce_due() -> None:
    """Announces what was lost on the way."""
    for price_id in due_announcements():
        announce_price(price_id)
