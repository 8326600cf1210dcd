"""Pickles are converted on a GPU worker: what it is asked, and what it answers."""

from __future__ import annotations

from typing import Any

from celery import shared_task
from django.conf import settings
from django.urls import reverse

from inference import wire
from store.outbox import send_after_commit, send_conversion
from store.uploads.conversions import begin_conversion, due_conversions, take_conversion
from workers.measure import release_ref


@shared_task(name="conversion.start")
def start_conversion(conversion_id: int) -> None:
    """Asks a GPU worker, if the time has come."""
    begun = begin_conversion(conversion_id)
    if begun is None:
        return
    conversion, upload, secret = begun
    spec = wire.ConvertSpec(
        job_id=conversion.pk,
        attempt=conversion.attempts,
        source_url=settings.INTERNAL_URL + reverse("conversion-source", args=[conversion.pk]),
        source_name=upload.path,
        source_sha256=upload.sha256,
        source_size=upload.size,
        base=release_ref(conversion.base),
        target_url=settings.INTERNAL_URL + reverse("uploads"),
        organization=conversion.listing.organization.slug,
        token=secret,
    )
    send_conversion(spec)


@shared_task(name=wire.CONVERTED_TASK)
def converted(conversion_id: int, attempt: int, message: dict[str, Any]) -> None:
    """What the worker says."""
    take_conversion(conversion_id=conversion_id, attempt=attempt, message=message)


@shared_task(name="conversion.due")
def send_due_conversions() -> None:
    """Sends what was lost, or died with its worker."""
    for conversion_id in due_conversions():
        send_after_commit("conversion.start", conversion_id)
