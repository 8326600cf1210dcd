"""What is done about money at regular times."""

from __future__ import annotations

import logging

from celery import shared_task

from store.ledger.audit import audit
from store.runs.actions import delete_old_replays

logger = logging.getLogger(__name__)


@shared_task(name="money.audit")
def audit_books() -> None:
    """Names every row that does not match, as an error in the log."""
    mismatches = audit()
    for mismatch in mismatches:
        logger.error("%s", mismatch)
    logger.info("the books were audited: %d mismatches", len(mismatches))


@shared_task(name="money.replays")
def forget_replays() -> None:
    """Deletes the answers that no Idempotency-Key can ask for any more."""
    while deleted := delete_old_replays():
        logger.info("%d old answers were deleted", deleted)
