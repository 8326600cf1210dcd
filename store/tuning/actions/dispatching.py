"""Jobs are given to workers as these have room, organization after organization; what a worker drops is given to the next."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import timedelta

from django.conf import settings
from django.db import connection, transaction
from django.db.models import F, Q
from django.utils import timezone

from store.catalog.models import CALLABLE
from store.tuning.actions.moves import locked, move, note
from store.tuning.actions.settling import fail_job
from store.tuning.models import OPEN_JOB, EventLevel, JobStatus, TuneJob, TuneJobQuerySet, Wanted

START_LEASES = 2  # a message that no worker has taken up in so many leases is taken for lost
MAX_FRUITLESS = 5  # attempts one after the other that ended without a new checkpoint
ONE_DISPATCHER = 7_446_951  # an advisory lock: the free slots are counted by one at a time
BATCH = 100

logger = logging.getLogger(__name__)


def dispatch(slots: int) -> Iterator[TuneJob]:
    """Begins an attempt at the next jobs of the queue, as many as ``slots`` of all workers have room for. Each is to be sent."""
    free = slots - TuneJob.objects.in_hand().count()
    for job_id in list(TuneJob.objects.in_line().values_list("pk", flat=True)[: max(0, free)]):
        job = _begin_attempt(job_id, slots)
        if job:
            yield job


@transaction.atomic
def _begin_attempt(job_id: int, slots: int) -> TuneJob | None:
    """The job under its new epoch; None where somebody else was first, or it cannot go on."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [ONE_DISPATCHER])
    if TuneJob.objects.in_hand().count() >= slots:
        return None
    job = locked(job_id)
    if job.status != JobStatus.QUEUED or job.lease_until is not None:
        return None
    if job.training_file.blob_id is None or (job.validation_file and job.validation_file.blob_id is None):
        fail_job(
            job,
            code="file_deleted",
            message="The data of this job was deleted before it was trained.",
            param="training_file",
        )
        return None
    until = timezone.now() + timedelta(seconds=START_LEASES * settings.TUNE_LEASE_S)
    move(
        job, JobStatus.QUEUED, attempts=job.attempts + 1, lease_until=until, heard=False, wanted=Wanted.RUN, stage="",
        **at_checkpoint(job),
    )  # fmt: skip
    return TuneJob.objects.full().get(pk=job.pk)


def at_checkpoint(job: TuneJob) -> dict[str, int]:
    """Where the next attempt begins, and what is paid for if there is none."""
    newest = job.checkpoints.order_by("-step").first()
    return {"step": newest.step if newest else 0, "trained_tokens": newest.trained_tokens if newest else 0}


def give_back(job: TuneJob, *, why: str, code: str = "worker_lost") -> None:
    """Nobody has the job any more: it is queued again, or stays paused; after MAX_FRUITLESS attempts it fails, and costs nothing.

    Inside a transaction that has locked its wallet and row.
    """
    fruitless = job.fruitless + (1 if job.heard else 0)  # a message that was lost is nobody's failure
    if job.status not in OPEN_JOB:
        TuneJob.objects.filter(pk=job.pk).update(lease_until=None)
        return None
    if fruitless >= MAX_FRUITLESS:
        TuneJob.objects.filter(pk=job.pk).update(lease_until=None, fruitless=fruitless)
        job.refresh_from_db()
        words = f"It was tried {fruitless} times without getting further, and costs nothing. The last time: {why}"
        return fail_job(job, code=code, message=words)
    to = JobStatus.PAUSED if job.status == JobStatus.PAUSED else JobStatus.QUEUED
    begin = at_checkpoint(job)
    move(job, to, lease_until=None, eta_at=None, stage="", fruitless=fruitless, **begin)
    if job.heard:
        note(job, f"{why} The job goes on at step {begin['step']}.", level=EventLevel.WARN)
    return None


def reap_jobs() -> int:
    """Takes jobs from workers that are silent, and ends those whose time is over or whose base was taken away. Returns how many."""
    count = 0
    for job_id in TuneJob.objects.overdue().order_by("lease_until").values_list("pk", flat=True)[:BATCH]:
        count += _reap(job_id)
    for job_id in _lapsed().values_list("pk", flat=True)[:BATCH]:
        count += _end_lapsed(job_id)
    return count


@transaction.atomic
def _reap(job_id: int) -> int:
    job = locked(job_id)
    if job.lease_until is None or job.lease_until > timezone.now():
        return 0
    logger.warning("%s: attempt %d is lost", job, job.attempts)
    give_back(job, why="The worker was lost.")
    return 1


def _lapsed() -> TuneJobQuerySet:
    """Open jobs that outlived what is held for them, and those whose base is another's and cannot be called any more."""
    base_gone = ~Q(base__listing__status__in=CALLABLE) | Q(base__listing__is_private=True)
    of_others = Q(base__isnull=False) & ~Q(base__listing__organization=F("organization"))
    is_over = Q(hold__expires_at__lt=timezone.now())
    return TuneJob.objects.filter(is_over | (of_others & base_gone), status__in=OPEN_JOB).order_by("pk")


@transaction.atomic
def _end_lapsed(job_id: int) -> int:
    job = locked(job_id)
    if not _lapsed().filter(pk=job.pk).exists():
        return 0
    if job.hold and job.hold.expires_at < timezone.now():
        fail_job(job, code="expired", message="It was not done in the time that a job may take, pauses included.")
    else:
        words = "Its base is not offered any more: it was withdrawn or suspended. The job costs nothing."
        fail_job(job, code="base_withdrawn", message=words, param="model")
    return 1
