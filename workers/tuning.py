"""Trainings: given to GPU workers as these have room, and what they say of them. The clock does again what was lost."""

from __future__ import annotations

from typing import Any

from celery import shared_task
from django.conf import settings
from django.urls import reverse

from inference import wire
from store.outbox import send_training
from store.tuning.actions.dispatching import dispatch, reap_jobs
from store.tuning.actions.jobs import validate_job
from store.tuning.actions.reporting import take_report
from store.tuning.control import tell_worker, tune_slots
from store.tuning.models import DataFile, JobStatus, TuneJob, Wanted
from store.tuning.tokens import attempt_token
from workers.measure import release_ref


@shared_task(name="tuning.validate")
def validate(job_id: int) -> None:
    """Goes on with a job whose tokens were being counted."""
    validate_job(job_id)


@shared_task(name="tuning.dispatch")
def dispatch_jobs() -> None:
    """Gives the next jobs to workers that have room."""
    for job in dispatch(tune_slots()):
        tell_worker(job)  # first, so that an older attempt is over before the new one begins
        send_training(spec_of(job))


@shared_task(name="tuning.control")
def control(job_id: int) -> None:
    """Tells the worker that has a job what is wanted of it now."""
    tell_worker(TuneJob.objects.get(pk=job_id))


@shared_task(name=wire.TUNED_TASK)
def reported(job_id: int, epoch: int, message: dict[str, Any]) -> None:
    """What the worker says."""
    take_report(job_id=job_id, epoch=epoch, message=message)


@shared_task(name="tuning.due")
def do_what_is_due() -> None:
    """What was lost on the way, died with its worker, or has waited long enough."""
    reap_jobs()
    for job_id in TuneJob.objects.filter(status=JobStatus.VALIDATING).values_list("pk", flat=True):
        validate_job(job_id)
    for job in TuneJob.objects.in_hand().exclude(wanted=Wanted.RUN):
        tell_worker(job)  # Redis may have forgotten it
    dispatch_jobs()


def spec_of(job: TuneJob) -> wire.TuneSpec:
    """The message to the worker: one attempt, with a token that is good for nothing else."""
    token = attempt_token(job)
    method: Any = job.method
    adaptation: Any = job.adaptation
    return wire.TuneSpec(
        job_id=job.pk,
        epoch=job.attempts,
        name=job.public_id,
        method=method,
        adaptation=adaptation,
        training=_data_ref(job.training_file, token),
        validation=_data_ref(job.validation_file, token) if job.validation_file else None,
        hyper=wire.Hyper(**job.hyper),
        model=wire.ScratchConfig(**job.shape) if job.base is None else None,
        base=release_ref(job.base) if job.base else None,
        sample_prompts=job.sample_prompts,
        resume=_resume(job, token),
        token_limit=job.quote_tokens,
        upload_url=settings.INTERNAL_URL + reverse("tuning-uploads"),
        organization=job.organization.slug,
        token=token,
    )


def _data_ref(file: DataFile, token: str) -> wire.DataRef:
    return wire.DataRef(
        url=settings.INTERNAL_URL + reverse("tuning-data", args=[file.public_id]),
        sha256=file.sha256,
        size=file.size,
        format=file.format,
        mapping=file.mapping,
        filename=file.filename,
        token=token,
    )


def _resume(job: TuneJob, token: str) -> wire.CheckpointRef | None:
    newest = job.checkpoints.order_by("-step").first()
    if newest is None:
        return None
    rows = list(newest.files.values_list("path", "blob_id", "blob__size"))
    return wire.CheckpointRef(
        step=newest.step,
        trained_tokens=newest.trained_tokens,
        files={path: sha256 for path, sha256, _size in rows},
        url=settings.INTERNAL_URL + reverse("tuning-content", args=["0"]).removesuffix("0"),
        token=token,
        size=sum(size for _path, _sha256, size in rows),
    )
