"""Payouts that nobody has to ask for."""

from __future__ import annotations

import logging

from django.db import IntegrityError
from django.utils import timezone

from store.errors import StoreError
from store.payouts.actions import next_time, request_scheduled
from store.payouts.models import Interval, PayoutSchedule

BATCH = 200
MOST_SKIPPED = 300

logger = logging.getLogger(__name__)


def due_schedules() -> list[int]:
    """Ids of schedules whose time has come."""
    due = PayoutSchedule.objects.filter(next_at__lte=timezone.now())
    return list(due.order_by("next_at").values_list("pk", flat=True)[:BATCH])


def run_schedule(schedule_id: int) -> None:
    """Asks for one payout, and says when the next is due. What there is none for, the page shows."""
    now = timezone.now()
    schedule = PayoutSchedule.objects.select_related("organization").filter(pk=schedule_id, next_at__lte=now).first()
    if schedule is None:
        return
    following = next_time(Interval(schedule.interval), now)
    is_mine = PayoutSchedule.objects.filter(pk=schedule_id, next_at=schedule.next_at).update(next_at=following) == 1
    if not is_mine:
        return
    skipped = ""
    try:
        request_scheduled(schedule.organization, minimum_nano=schedule.minimum_nano)
    except StoreError as error:
        skipped = error.message
        logger.info("no payout for %s this time: %s", schedule.organization_id, skipped)
    except IntegrityError:  # somebody has pressed the button in this moment
        skipped = "A payout was asked for by hand."
    PayoutSchedule.objects.filter(pk=schedule_id).update(skipped=skipped[:MOST_SKIPPED])
