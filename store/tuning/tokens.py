"""Tokens with which a worker reads a job's data and checkpoints and sends what it made: signed, good for one attempt, kept nowhere."""

from __future__ import annotations

from django.core import signing

from store.tuning.models import TuneJob

SALT = "store.tuning.attempt"

_signer = signing.Signer(salt=SALT)


def attempt_token(job: TuneJob) -> str:
    """A token of the job's newest attempt."""
    return _signer.sign(f"{job.pk}-{job.attempts}")


def job_of_token(token: str) -> TuneJob | None:
    """The job, while the attempt that the token was made for has it in hand; else None."""
    try:
        job_id, _dash, attempt = _signer.unsign(token).partition("-")
    except signing.BadSignature:
        return None
    held = TuneJob.objects.in_hand().filter(pk=int(job_id), attempts=int(attempt))
    return held.select_related("organization").first()
