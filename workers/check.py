"""Submitted files are checked: see ``store.catalog.actions.submissions``."""

from __future__ import annotations

from celery import shared_task

from store.catalog.actions.submissions import due_checks, run_check
from store.outbox import send_after_commit
from workers.slots import long_work


@shared_task(name="check.release")
def check_release(submission_id: int) -> None:
    """Checks one submission, if its time has come."""
    with long_work() as has_room:
        if has_room:
            run_check(submission_id)


@shared_task(name="check.due")
def send_due_checks() -> None:
    """Sends again what was lost, or died with its worker."""
    for submission_id in due_checks():
        send_after_commit("check.release", submission_id)
