"""Webhooks go out: see ``store.webhooks``."""

from __future__ import annotations

import logging
import time
from typing import Final

from celery import shared_task

from store.outbox import send_after_commit
from store.webhooks.actions import deliver_next, forget_events, is_anything_due, send_notices
from workers.slots import webhook_work

DELIVERING_S: Final = (
    30.0  # one task at most, but for the attempt that is under way: a worker that is to stop waits for it
)

logger = logging.getLogger(__name__)


@shared_task(name="webhooks.deliver")
def deliver() -> None:
    """Delivers until nothing is due. Where no slot is free, those who have them go on to what is new."""
    with webhook_work() as has_room:
        if not has_room:
            return
        until = time.monotonic() + DELIVERING_S
        while time.monotonic() < until and deliver_next():
            pass
    send_due()  # what became due between the last look and the slot's end


@shared_task(name="webhooks.due")
def send_due() -> None:
    """Sends again what was lost, and what is to be tried again."""
    if is_anything_due():
        send_after_commit("webhooks.deliver")


@shared_task(name="webhooks.notices")
def tell_owners() -> None:
    """Sends the mails about webhooks that fail."""
    send_notices()


@shared_task(name="webhooks.forget")
def forget() -> None:
    """Deletes events that are too old to be sent again."""
    logger.info("%d rows of old events were deleted", forget_events())
