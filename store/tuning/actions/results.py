"""What a job has made becomes a private listing with one release, which can be called at once.

It is checked as a provider's files are. Nobody has to be a provider for it: it is sold by nobody until it goes the way that every
model goes into the store (``catalog.actions.submissions``).
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from datetime import timedelta

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from inference import wire
from inference.manifest import FileEntry, Problem, check_adapter
from store.catalog.actions.lineage import freeze_terms
from store.catalog.actions.listings import TRANSITIONS
from store.catalog.actions.measuring import measure_release
from store.catalog.actions.moves import move
from store.catalog.actions.releases import config_of, make_release
from store.catalog.actions.repositories import MAIN, replace_files
from store.catalog.inspection import Inspection, inspect_stored
from store.catalog.models import Blob, Listing, ListingStatus, OrganizationBlob, Price, Release
from store.tuning import names
from store.tuning.actions.moves import locked, note
from store.tuning.card import result_card
from store.tuning.errors import CheckpointUnfit
from store.tuning.models import Adaptation, DataFile, FilePurpose, FileStatus, TuneCheckpoint, TuneJob
from store.tuning.models.jobs import NAME_ID_CHARS
from store.uploads.actions import store_bytes
from store.uploads.models import Purpose

CARD = "README.md"
METRICS = "step_metrics.csv"  # OpenAI's name
COLUMNS = {
    "step": "step",
    "loss": "train_loss",
    "accuracy": "train_mean_token_accuracy",
    "val_loss": "valid_loss",
    "val_accuracy": "valid_mean_token_accuracy",
    "learning_rate": "learning_rate",
    "grad_norm": "grad_norm",
    "tokens_per_s": "tokens_per_s",
    "trained_tokens": "trained_tokens",
}
MEASURED_AFTER = timedelta(minutes=2)  # its owner calls it first


@dataclass(frozen=True, kw_only=True, slots=True)
class Prepared:
    """What the worker has sent, read and checked. It can be published where ``problems`` is empty."""

    found: Inspection
    problems: tuple[Problem, ...]
    metrics: Blob | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Made:
    listing: Listing
    release: Release
    metrics: DataFile | None


def prepare(job: TuneJob, report: wire.TuneReport) -> Prepared:
    """Writes the card beside the result's files, and checks them in a child. Not inside a transaction. Raises OSError, StoreError."""
    blobs = own_blobs(job, report.files)
    missing = [path for path, sha256 in report.files.items() if sha256 not in blobs]
    if missing or not report.files:
        problem = Problem(
            missing[0] if missing else "", "missing", f"{', '.join(missing) or 'The result'} has not arrived."
        )
        return Prepared(found=Inspection.refused(problem), problems=(problem,))
    card = store_bytes(
        organization=job.organization, user=None, path=CARD, data=result_card(job, report).encode()
    )  # fmt: skip
    files = {path: blobs[sha256] for path, sha256 in report.files.items()} | {CARD: card}
    found = inspect_stored(FileEntry(path, blob.size, blob.sha256) for path, blob in files.items())
    metrics = store_bytes(
        organization=job.organization, user=None, path=METRICS, data=metrics_csv(job), purpose=Purpose.DATA
    )
    return Prepared(found=found, problems=misfits(job, found), metrics=metrics)


def misfits(job: TuneJob, found: Inspection) -> tuple[Problem, ...]:
    """What the checks say, and whether it is an adapter of the job's own base where it should be."""
    if found.problems or job.base is None or job.adaptation == Adaptation.FULL:
        return found.problems
    root = job.base.base or job.base
    if found.adapter is None or found.adapter.base_digest != root.digest:
        return (Problem("adapter_config.json", "base_differs", "The result is no adapter of the job's base."),)
    return tuple(check_adapter(found.adapter, config_of(root)))


def own_blobs(job: TuneJob, files: dict[str, str]) -> dict[str, Blob]:
    """Of these contents, those that the organization has sent, by digest."""
    own = OrganizationBlob.objects.filter(organization=job.organization, blob__in=set(files.values()))
    return {row.blob_id: row.blob for row in own.select_related("blob")}


def publish(job: TuneJob, prepared: Prepared) -> Made:
    """The listing, its release and its price; the key that asked opens it. Inside the transaction that ends the job."""
    found = prepared.found
    listing = job.result_listing or _listing(job, found)
    release = _release(job, listing, found)
    said = {"title": found.card.title or listing.title, "summary": found.card.summary, "tags": list(found.card.tags)}
    move(listing, ListingStatus.PUBLISHED, TRANSITIONS, current_release=release, task=release.task, **said)
    if not listing.prices.exists():
        _price(job, listing)
    measure_release(release, due_at=timezone.now() + MEASURED_AFTER)
    if job.api_key:
        job.api_key.listings.add(listing)
    note(job, f"The result is {listing.name}, and is called as {job.model_name}.")
    return Made(listing=listing, release=release, metrics=_metrics(job, prepared.metrics))


def open_checkpoint(checkpoint: TuneCheckpoint) -> TuneCheckpoint:
    """Makes a checkpoint callable: its model becomes a release of the listing that the job's result is, or will be. Twice is once.

    Not inside a transaction: its files are checked in a child. Raises CheckpointUnfit, OSError.
    """
    if checkpoint.release_id:
        return checkpoint
    job = TuneJob.objects.full().get(pk=checkpoint.job_id)
    files = checkpoint.files.filter(is_model=True).select_related("blob")
    found = inspect_stored(FileEntry(file.path, file.blob.size, file.blob_id) for file in files)
    problems = misfits(job, found)
    if problems:
        raise CheckpointUnfit(problems[0].message)
    with transaction.atomic():
        row = locked(job.pk, with_wallet=False)
        listing = row.result_listing or _listing(row, found)
        release = _release(row, listing, found, branch=f"ckpt-step-{checkpoint.step}")
        if listing.status == ListingStatus.DRAFT:
            move(listing, ListingStatus.PUBLISHED, TRANSITIONS, current_release=release, task=release.task)
            _price(row, listing)
        if row.api_key:
            row.api_key.listings.add(listing)
        TuneJob.objects.filter(pk=row.pk).update(result_listing=listing)
        TuneCheckpoint.objects.filter(pk=checkpoint.pk).update(release=release)
    checkpoint.refresh_from_db()
    return checkpoint


def served_on(job: TuneJob) -> Release | None:
    """The release that an adapter needs, which is not one itself; None for all weights."""
    if job.base is None or job.adaptation == Adaptation.FULL:
        return None
    return job.base.base or job.base


def _release(job: TuneJob, listing: Listing, found: Inspection, *, branch: str = MAIN) -> Release:
    """The files as a commit on a branch and as a release, under the terms that the job was quoted."""
    title = f"Train {job.public_id}"
    commit = replace_files(listing=listing, user=job.created_by, files=found.files, title=title, branch=branch)
    if job.base:
        freeze_terms(derivative=listing, base=job.base, price=job.price, is_trained=True)
    return make_release(listing=listing, commit=commit, found=found, user=job.created_by, base=served_on(job))


def _listing(job: TuneJob, found: Inspection) -> Listing:
    base = job.base_listing
    return Listing.objects.create(
        organization=job.organization, slug=_free_slug(job), is_private=True, base=base,
        base_relation=("adapter" if served_on(job) else "finetune") if base else "",
        title=found.card.title or job.model_name, summary=found.card.summary, licence=base.licence if base else "",
        category=base.category if base else "", languages=base.languages if base else [], tags=list(found.card.tags),
    )  # fmt: skip


def _free_slug(job: TuneJob) -> str:
    wanted = names.listing_slug(base=job.base_listing, suffix=job.suffix, job_id=job.public_id)
    taken = Listing.objects.filter(organization=job.organization)
    if not taken.filter(slug=wanted).exists():
        return wanted
    longer = f"{wanted[: names.MAX_SLUG - NAME_ID_CHARS - 1]}-{names.short_id(job.public_id).lower()}"
    count = taken.filter(Q(slug=longer) | Q(slug__startswith=f"{longer}-")).count()
    return f"{longer[: names.MAX_SLUG - 6]}-{count + 1}" if count else longer


def _price(job: TuneJob, listing: Listing) -> None:
    """What the base costs. Whoever sells it sets another one first."""
    current = job.base_listing.prices.current().first() if job.base_listing else None
    classes = ("input_nano", "cached_input_nano", "output_nano", "request_nano", "training_nano")
    Price.objects.create(
        listing=listing, created_by=job.created_by, **{name: getattr(current, name) if current else 0 for name in classes}
    )  # fmt: skip


def metrics_csv(job: TuneJob) -> bytes:
    """The numbers of every step, as OpenAI's result file names them, and ours beside; what was not measured is empty."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(COLUMNS.values())
    rows.writerows(job.points.order_by("step").values_list(*COLUMNS))
    return text.getvalue().encode()


def _metrics(job: TuneJob, blob: Blob | None) -> DataFile | None:
    if blob is None:
        return None
    return DataFile.objects.create(
        organization=job.organization, created_by=job.created_by, filename=METRICS, purpose=FilePurpose.RESULTS,
        status=FileStatus.PROCESSED, blob=blob, sha256=blob.sha256, size=blob.size,
    )  # fmt: skip
