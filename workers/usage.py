"""What was used is counted, and budgets that are being used up are told of."""

from __future__ import annotations

import logging

from celery import shared_task

from store.usage.alerts import raise_alerts
from store.usage.rollup import roll_up

logger = logging.getLogger(__name__)


@shared_task(name="usage.alerts")
def tell_of_budgets() -> None:
    """Tells of budgets that are being used up."""
    if told := raise_alerts():
        logger.info("%d alerts of budgets were sent", len(told))


@shared_task(name="usage.roll_up")
def count_usage() -> None:
    """Counts the hours to which something may have been added."""
    roll_up()
