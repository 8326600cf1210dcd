"""What the rest of the store asks about trainings."""

from __future__ import annotations

from django.db.models import QuerySet

from store.catalog.models import CALLABLE, Listing
from store.catalog.reads import CallableListing, as_callable
from store.tuning.models import TuneCheckpoint, TuneJob
from store.tuning.names import split_checkpoint


def callable_tuned(name: str) -> CallableListing | None:
    """What ``ft:…`` names: the result of a job, or a checkpoint that was made callable. The caller checks who may call it."""
    model, step = split_checkpoint(name)
    if step is not None:
        found = TuneCheckpoint.objects.filter(job__model_name=model, step=step, release__isnull=False)
        checkpoint = found.select_related(
            "release__listing__organization", "release__base__listing__organization"
        ).first()
        release = checkpoint.release if checkpoint else None
    else:
        results = TuneJob.objects.filter(model_name=model, result_release__isnull=False)
        job = results.select_related(
            "result_release__listing__organization", "result_release__base__listing__organization"
        ).first()
        release = job.result_release if job else None
    if release is None or release.listing.status not in CALLABLE or release.listing.deleted_at:
        return None
    return as_callable(release.listing, release)


def tuned_listings(name: str) -> QuerySet[Listing]:
    """The listing, at most one, of which the result that ``ft:…`` names is the current release: what can be trained on."""
    return Listing.objects.filter(current_release__in=TuneJob.objects.filter(model_name=name).values("result_release"))


def checkpoint_named(name: str, *, organization_id: int) -> TuneCheckpoint | None:
    """The checkpoint of an organization's job that ``ft:…:ckpt-step-N`` names, whether it can be called yet or not."""
    model, step = split_checkpoint(name)
    if step is None:
        return None
    own = TuneCheckpoint.objects.filter(job__organization=organization_id, job__model_name=model, step=step)
    return own.select_related("job").first()
