"""What a worker says of a job: how far it is, a checkpoint, the end. Only the newest attempt is heard, and no report is heard twice."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from inference import wire
from store.outbox import send_after_commit
from store.tuning.actions import results
from store.tuning.actions.checkpoints import keep_checkpoint
from store.tuning.actions.dispatching import give_back
from store.tuning.actions.moves import locked, move, note
from store.tuning.actions.settling import end_job, fail_job
from store.tuning.models import OPEN_JOB, JobStatus, TuneJob, TunePoint, TuneSample, Wanted
from store.tuning.models.progress import NUMBERS

MAX_NOTES, MAX_NOTE_CHARS = 50, 500
MAX_ANSWER_CHARS = 20_000
METRICS_LINES = 100  # of numbers in the log of a job, besides those of evaluations

logger = logging.getLogger(__name__)


def take_report(*, job_id: int, epoch: int, message: dict[str, Any]) -> None:
    """Writes down what a worker says, and ends the job where that is the end. Not inside a transaction. Raises WireError.

    Reports may come in any order, and twice: what is newer is never undone by what is older.
    """
    report = wire.TuneReport.from_json(message)
    if not _write_progress(job_id, epoch, report):
        logger.info("job %s: attempt %s is not heard any more", job_id, epoch)
    elif report.status == "done":
        _finish(job_id, epoch, report)
    elif report.status in ("stopped", "failed", "refused"):
        _stop(job_id, epoch, report)


@transaction.atomic
def _write_progress(job_id: int, epoch: int, report: wire.TuneReport) -> bool:
    """False where this is not the newest attempt."""
    job = locked(job_id, with_wallet=False)
    if job.attempts != epoch:
        return False
    before = job.step
    _write_points(job, report.points)
    _write_samples(job, report.samples)
    if report.checkpoint:
        keep_checkpoint(job, report.checkpoint)
    if job.lease_until is not None and job.status in OPEN_JOB:
        _go_on(job, report)
    _write_metrics(job, report.points, before)
    return True


def _go_on(job: TuneJob, report: wire.TuneReport) -> None:
    """The job is further than it was, and its worker lives."""
    now = timezone.now()
    fields: dict[str, Any] = {
        "lease_until": now + timedelta(seconds=settings.TUNE_LEASE_S),
        "heard": True,
        "stage": _plain(report.stage, 200),
        "step": max(job.step, report.step),
        "steps": report.steps or job.steps,
        "epoch_done": max(job.epoch_done, _finite(report.epoch_done) or 0.0),
        "trained_tokens": max(job.trained_tokens, report.trained_tokens),
        "best_step": report.best_step if report.best_step is not None else job.best_step,
    }
    if report.eta_s is not None and (eta_s := _finite(report.eta_s)) is not None:
        fields["eta_at"] = now + timedelta(seconds=min(max(eta_s, 0.0), 10**8))
    for name in ("perplexity_before", "perplexity_after"):
        if (found := _finite(getattr(report, name))) is not None:
            fields[name] = found
    new = [text for one in report.notes if (text := _plain(one, MAX_NOTE_CHARS)) not in job.notes]
    for text in new:
        note(job, text)
    fields["notes"] = [*job.notes, *new][:MAX_NOTES]
    to = JobStatus(job.status)
    if to == JobStatus.QUEUED and job.wanted == Wanted.RUN:
        to = JobStatus.RUNNING
        fields["started_at"] = job.started_at or now
        note(job, f"A worker has taken the job up{f' at step {job.step}' if job.step else ''}.")
    move(job, to, **fields)


def _write_points(job: TuneJob, points: Sequence[wire.Point]) -> None:
    rows = {
        point.step: TunePoint(
            job=job, step=point.step, trained_tokens=max(0, point.trained_tokens),
            **{name: _finite(getattr(point, name)) for name in NUMBERS},
        )
        for point in points
        if point.step >= 0
    }  # fmt: skip
    TunePoint.objects.bulk_create(
        rows.values(), update_conflicts=True, unique_fields=["job", "step"], update_fields=[*NUMBERS, "trained_tokens"]
    )


def _write_samples(job: TuneJob, samples: Sequence[wire.Sample]) -> None:
    numbers = {prompt: number for number, prompt in enumerate(job.sample_prompts)}
    rows = {
        (sample.step, numbers[sample.prompt]): TuneSample(
            job=job, step=sample.step, number=numbers[sample.prompt], prompt=sample.prompt,
            answer=_plain(sample.answer, MAX_ANSWER_CHARS),
        )
        for sample in samples
        if sample.prompt in numbers
    }  # fmt: skip
    TuneSample.objects.bulk_create(
        rows.values(), update_conflicts=True, unique_fields=["job", "step", "number"], update_fields=["answer"]
    )


def _write_metrics(job: TuneJob, points: Sequence[wire.Point], before: int) -> None:
    """Lines of numbers: of every evaluation, and of about METRICS_LINES steps besides. OpenAI's names."""
    every = max(1, job.steps // METRICS_LINES)
    for point in points:
        loss, val_loss = _finite(point.loss), _finite(point.val_loss)
        if (loss is None and val_loss is None) or (val_loss is None and (point.step % every or point.step <= before)):
            continue
        data = {
            "step": point.step, "total_steps": job.steps, "train_loss": loss, "valid_loss": val_loss,
            "train_mean_token_accuracy": _finite(point.accuracy), "valid_mean_token_accuracy": _finite(point.val_accuracy),
        }  # fmt: skip
        words = [f"training loss={loss:.4f}"] if loss is not None else []
        words += [f"validation loss={val_loss:.4f}"] if val_loss is not None else []
        note(job, f"Step {point.step}/{job.steps or '?'}: {', '.join(words)}", data=data)


def _finish(job_id: int, epoch: int, report: wire.TuneReport) -> None:
    """The result becomes a release that can be called, and the job is paid for: both, or neither."""
    job = TuneJob.objects.full().get(pk=job_id)
    if job.status not in OPEN_JOB or job.attempts != epoch:
        return
    found = results.prepare(job, report)  # reads files: no lock is held meanwhile
    with transaction.atomic():
        row = locked(job_id)
        if row.status not in OPEN_JOB or row.attempts != epoch:
            return
        if found.problems:
            words = "The result did not pass the checks, which is a failure of the store's; the job costs nothing. "
            TuneJob.objects.filter(pk=row.pk).update(lease_until=None)
            row.refresh_from_db()
            fail_job(row, code="result_rejected", message=words + found.problems[0].message)
            return
        made = results.publish(row, found)
        end_job(
            row, JobStatus.SUCCEEDED, paid_tokens=report.trained_tokens, trained_tokens=report.trained_tokens, lease_until=None,
            step=max(row.step, report.step), result_listing=made.listing, result_release=made.release, result_file=made.metrics,
        )  # fmt: skip


@transaction.atomic
def _stop(job_id: int, epoch: int, report: wire.TuneReport) -> None:
    """The worker has let go of the job."""
    job = locked(job_id)
    if job.attempts != epoch or job.lease_until is None:
        return
    if report.status == "stopped" or job.status not in OPEN_JOB:
        TuneJob.objects.filter(pk=job.pk).update(heard=False)  # it stopped because it was told to: that is no failure
        job.refresh_from_db()
        give_back(job, why="The worker has stopped.")
    elif report.status == "failed" and (report.is_ours or not report.error_code):
        give_back(job, why=_plain(report.error, MAX_NOTE_CHARS), code=report.error_code[:40] or "worker_failed")
    else:
        TuneJob.objects.filter(pk=job.pk).update(lease_until=None)
        job.refresh_from_db()
        fail_job(job, code=report.error_code[:40] or "refused", message=_plain(report.error, 2000))
    send_after_commit("tuning.dispatch")


def _finite(value: float | None) -> float | None:
    """A number that is none is not known."""
    return value if value is not None and math.isfinite(value) else None


def _plain(text: str, chars: int) -> str:
    """What a worker says must not keep it from being written down."""
    return text.replace("\0", "")[:chars]
