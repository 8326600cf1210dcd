"""Who is told that a job has ended: its log, the person who asked for it, and the organization's webhooks."""

from __future__ import annotations

from typing import Any

from store.catalog.models import Notice, NoticeKind
from store.ledger.dollars import dollars
from store.outbox import send_after_commit
from store.tuning.actions.moves import note, page_of
from store.tuning.models import EventLevel, JobStatus, TuneJob
from store.tuning.names import SCRATCH
from store.webhooks.actions import emit

EVENTS = {
    JobStatus.SUCCEEDED: "fine_tuning.job.succeeded",
    JobStatus.FAILED: "fine_tuning.job.failed",
    JobStatus.CANCELLED: "fine_tuning.job.cancelled",
}
NOTICES = {JobStatus.SUCCEEDED: NoticeKind.TUNED, JobStatus.FAILED: NoticeKind.TUNE_FAILED}


def tell_end(job: TuneJob) -> None:
    """Inside the transaction that ends it: told once, as it is ended once."""
    status = JobStatus(job.status)
    cost = dollars(job.charge_nano)
    match status:
        case JobStatus.SUCCEEDED:
            note(
                job,
                f"The job has succeeded: {job.trained_tokens} tokens were trained for {cost}. Call {job.model_name}.",
            )
        case JobStatus.CANCELLED:
            note(job, f"The job was cancelled: {job.charged_tokens} tokens were trained for {cost}.")
        case _:
            note(job, f"The job has failed: {job.error_message} It costs {cost}.", level=EventLevel.ERROR)
    emit(organization=job.organization, type=EVENTS[status], data=_said(job))
    if status in NOTICES:
        about = {
            "job": job.public_id, "url": page_of(job), "model": job.model_name, "cost": cost,
            "listing": job.result_listing.name if job.result_listing else "", "problem": job.error_message,
        }  # fmt: skip
        Notice.objects.create(user=job.created_by, kind=NOTICES[status], context=about)
        send_after_commit("mail.notices")


def _said(job: TuneJob) -> dict[str, Any]:
    """What webhooks are told: of OpenAI's shape of a job what matters at its end."""
    failed = job.status == JobStatus.FAILED
    return {
        "id": job.public_id,
        "object": "fine_tuning.job",
        "model": job.base_listing.name if job.base_listing else SCRATCH,
        "status": job.status,
        "fine_tuned_model": job.model_name if job.status == JobStatus.SUCCEEDED else None,
        "trained_tokens": job.charged_tokens,
        "error": {"code": job.error_code, "message": job.error_message, "param": job.error_param or None} if failed else None,
    }  # fmt: skip
