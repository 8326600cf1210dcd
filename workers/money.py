"""What is done about money at regular times."""

from __future__ import annotations

import logging

from celery import shared_task

from store.backoffice.actions import expire_actions
from store.backoffice.days import keep_days
from store.backoffice.mailing import mail_findings
from store.backoffice.models import AuditSource
from store.backoffice.proving import TASK, ask_for_proof, due_proofs, prove
from store.runs.actions import delete_old_replays

logger = logging.getLogger(__name__)


@shared_task(name="money.audit")
def audit_books() -> None:
    """Asks for a proof from every source."""
    for source in AuditSource:
        ask_for_proof(source=source)


@shared_task(name=TASK)
def prove_books(run_id: int) -> None:
    """Makes one audit, and tells the people who run the store what it found."""
    prove(run_id)
    mail_findings()


@shared_task(name="money.due")
def prove_due() -> None:
    """Makes the audits whose message was lost, and sends mails that could not be sent."""
    for run_id in due_proofs():
        prove(run_id)
    mail_findings()


@shared_task(name="money.days")
def keep_ledger_days() -> None:
    """Keeps the days of the ledger that are over."""
    logger.info("%d rows of days were kept", keep_days())


@shared_task(name="money.requests")
def end_old_requests() -> None:
    """Ends what staff have asked for and nobody has decided in time."""
    if ended := expire_actions():
        logger.info("%d requests of staff have expired", ended)


@shared_task(name="money.replays")
def forget_replays() -> None:
    """Deletes the answers that no Idempotency-Key can ask for any more."""
    while deleted := delete_old_replays():
        logger.info("%d old answers were deleted", deleted)
