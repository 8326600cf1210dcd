"""Releases are measured on a GPU worker: what it is asked, and what it answers."""

from __future__ import annotations

from typing import Any

from celery import shared_task
from django.conf import settings

from inference import wire
from store.catalog.actions.measuring import due_measurements, measure_oldest
from store.catalog.actions.submissions import begin_measurement, take_measurement
from store.catalog.models import Release
from store.hub.tokens import release_token
from store.outbox import send_after_commit, send_evaluation

EACH_NIGHT = 20  # releases that are measured anew


@shared_task(name="measure.release")
def measure_release(measurement_id: int) -> None:
    """Asks a GPU worker, if the time has come."""
    measurement = begin_measurement(measurement_id)
    if measurement is not None:
        spec = wire.EvaluateSpec(
            measurement_id=measurement.pk, attempt=measurement.attempts, release=release_ref(measurement.release)
        )
        send_evaluation(spec)


def release_ref(release: Release) -> wire.ReleaseRef:
    """Where a worker fetches the release, and the base that an adapter is served on."""
    return wire.ReleaseRef(
        digest=release.digest,
        repo_id=release.listing.name,
        endpoint=settings.INTERNAL_URL,
        token=release_token(release),
        size=release.size,
        base=release_ref(release.base) if release.base else None,
    )


@shared_task(name=wire.MEASURED_TASK)
def measured(measurement_id: int, attempt: int, message: dict[str, Any]) -> None:
    """What the worker says."""
    take_measurement(measurement_id=measurement_id, attempt=attempt, message=message)


@shared_task(name="measure.due")
def send_due_measurements() -> None:
    """Sends what was to wait, was lost, or died with its worker."""
    for measurement_id in due_measurements():
        send_after_commit("measure.release", measurement_id)


@shared_task(name="measure.oldest")
def measure_old_releases() -> None:
    """Numbers get old: some are found anew every night."""
    measure_oldest(EACH_NIGHT)
