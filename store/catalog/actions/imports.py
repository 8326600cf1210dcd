"""A model of another Hub becomes a commit of a listing, fetched by a worker (``workers.fetch``)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext as _

from store.accounts.models import User
from store.catalog import leases
from store.catalog.actions.errors import NotInThisState
from store.catalog.actions.moves import Transitions, move
from store.catalog.actions.permission import locked
from store.catalog.models import Commit, ImportJob, ImportStatus, Listing, OrganizationBlob
from store.catalog.storage import keep_blob, lock_storage, reserve, unreserve
from store.errors import InvalidRequest
from store.outbox import send_after_commit

MAX_ATTEMPTS = 5  # each goes on where the one before it was cut off
REPO_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}/[A-Za-z0-9][A-Za-z0-9._-]{0,95}")
REVISION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,99}")

S = ImportStatus
UNDER_WAY = (S.QUEUED, S.RUNNING)
TRANSITIONS: Transitions = {
    S.QUEUED: (S.RUNNING, S.FAILED, S.CANCELLED),
    S.RUNNING: (S.SUCCEEDED, S.FAILED, S.CANCELLED),
}


@transaction.atomic
def start_import(*, listing: Listing, user: User, repo_id: str, revision: str = "main") -> ImportJob:
    """Queues the import of ``repo_id`` (``org/name``) from settings.IMPORT_ENDPOINT. One runs for a listing at a time.

    The same import again, while it runs, is the same job. Raises NotFound, InvalidRequest (``repo_id``, ``revision``),
    NotInThisState (another one is running).
    """
    row = locked(listing, user)
    if not REPO_ID.fullmatch(repo_id) or ".." in repo_id:
        raise InvalidRequest(_("Name the model as on its Hub, such as openai-community/gpt2."), param="repo_id")
    if not REVISION.fullmatch(revision) or ".." in revision:
        raise InvalidRequest(_("A revision is a branch, a tag or a commit."), param="revision")
    running = row.imports.filter(status__in=UNDER_WAY).first()
    if running and (running.repo_id, running.revision) == (repo_id, revision):
        return running
    if running:
        raise NotInThisState(_("%(repo)s is being imported: wait, or cancel it.") % {"repo": running.repo_id})
    job = ImportJob.objects.create(
        listing=row, endpoint=settings.IMPORT_ENDPOINT, repo_id=repo_id, revision=revision, created_by=user
    )
    send_after_commit("import.model", job.pk)
    return job


@transaction.atomic
def cancel_import(*, job: ImportJob, user: User) -> ImportJob:
    """Stops it within seconds; nothing is committed. Cancelling again changes nothing. Raises NotFound, NotInThisState (it has ended)."""
    locked(job.listing, user)
    current = _locked_jobs().get(pk=job.pk)
    if current.status != S.CANCELLED:
        _end(current, S.CANCELLED)
    return current


def cancel_imports(listing: Listing) -> None:
    """Those that are under way. Inside a transaction that has the listing's row locked."""
    for job in _locked_jobs().filter(listing=listing, status__in=UNDER_WAY):
        _end(job, S.CANCELLED)


def begin_import(job_id: int) -> ImportJob | None:
    """Takes what is due in hand. None: it is not due, was cancelled, or was cut off too often and has failed."""
    due = ImportJob.objects.filter(pk=job_id, status__in=UNDER_WAY)
    if not leases.take(due, status=S.RUNNING):
        return None
    job = due.select_related("listing__organization", "created_by").get()
    if job.attempts <= MAX_ATTEMPTS:
        return job
    fail_import(job, _("The import was cut off %(count)d times. Start it again later.") % {"count": MAX_ATTEMPTS})
    return None


def is_own(job: ImportJob) -> QuerySet[ImportJob]:
    """The row, while this attempt has it."""
    return ImportJob.objects.filter(pk=job.pk, attempts=job.attempts, status=S.RUNNING)


def note_progress(job: ImportJob, **fields: Any) -> bool:
    """Writes down how far this attempt is. False where it is not its job any more: cancelled, or another attempt has it."""
    return is_own(job).update(**fields) == 1


@transaction.atomic
def reserve_import(job: ImportJob, contents: Mapping[str, int]) -> None:
    """Sets room aside for what is to be fetched, SHA-256 -> bytes: what the organization has already takes none.

    What an earlier attempt has set aside is part of it. Raises QuotaExceeded, NotInThisState (it is not this attempt's job any more).
    """
    row = _own(job)
    organization = job.listing.organization
    own = OrganizationBlob.objects.filter(organization=organization, blob__in=contents)
    needed = sum(contents.values()) - sum(contents[sha256] for sha256 in own.values_list("blob_id", flat=True))
    if needed > row.reserved_bytes:
        reserve(organization, needed - row.reserved_bytes)
    elif needed < row.reserved_bytes:
        unreserve(organization, row.reserved_bytes - needed)
    ImportJob.objects.filter(pk=job.pk).update(reserved_bytes=needed)


@transaction.atomic
def keep_imported(job: ImportJob, *, sha256: str, size: int) -> None:
    """The organization has content that was fetched; the room comes out of what was set aside for it.

    Raises QuotaExceeded (there is more than the other Hub had said), NotInThisState (it is not this attempt's job any more).
    """
    row = _own(job)
    organization = job.listing.organization
    lock_storage(organization)
    is_new = not OrganizationBlob.objects.filter(organization=organization, blob=sha256).exists()
    reserved = min(size, row.reserved_bytes) if is_new else 0
    keep_blob(organization=organization, sha256=sha256, size=size, reserved=reserved)
    ImportJob.objects.filter(pk=job.pk).update(reserved_bytes=row.reserved_bytes - reserved)


@transaction.atomic
def fail_import(job: ImportJob, error: str) -> None:
    """This attempt has found out that it cannot be done. ``error`` is a sentence for the provider."""
    row = _locked_jobs().filter(pk__in=is_own(job)).first()
    if row:
        _end(row, S.FAILED, error=error)


@transaction.atomic
def finish_import(job: ImportJob, commit: Commit) -> None:
    """The files are a commit. Raises NotInThisState where it was cancelled meanwhile: then undo the commit, by the transaction."""
    _end(_own(job), S.SUCCEEDED, commit=commit, error="")


def _end(job: ImportJob, status: ImportStatus, **fields: Any) -> None:
    """What it has set aside and not used is free again."""
    if job.reserved_bytes:
        unreserve(job.listing.organization, job.reserved_bytes)
    move(job, status, TRANSITIONS, ended_at=timezone.now(), reserved_bytes=0, **fields)


def _own(job: ImportJob) -> ImportJob:
    """The row as this attempt has it, locked. Raises NotInThisState where it has it no more."""
    row = _locked_jobs().filter(pk__in=is_own(job)).first()
    if row is None:
        raise NotInThisState(_("The import was cancelled."))
    return row


def _locked_jobs() -> QuerySet[ImportJob]:
    """The lock of a job comes after that of its listing, and before that of the organization's storage."""
    return ImportJob.objects.select_for_update(of=("self",)).select_related("listing__organization")


def due_imports() -> list[int]:
    """Ids of imports whose message was lost, or whose worker died."""
    due = ImportJob.objects.filter(status__in=UNDER_WAY, due_at__lte=Now())
    return list(due.order_by("due_at").values_list("pk", flat=True)[:100])
