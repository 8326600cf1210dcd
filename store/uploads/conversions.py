"""A pickle of weights becomes safetensors, where its owner asks for it: on a worker, in a sandbox, by ``inference.convert``.

The store never opens the file. The worker fetches it, and sends what it made of it like anybody else: with an access token of the
person who asked, good for one attempt.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext as _

from inference.wire import ConversionReport
from store.accounts.models import TokenScope, User
from store.accounts.tokens import issue_token, revoke_token
from store.catalog import leases
from store.catalog.actions.commits import AddFile
from store.catalog.actions.errors import NotInThisState
from store.catalog.actions.moves import Transitions, move
from store.catalog.actions.permission import locked
from store.catalog.actions.repositories import commit_files
from store.catalog.models import Conversion, ConversionStatus, Listing, Release
from store.errors import NotFound, StoreError
from store.outbox import send_after_commit
from store.uploads.actions import cancel_upload, conversion_file
from store.uploads.models import Purpose, Upload, UploadStatus

MAX_ATTEMPTS = 3
QUEUED_S = 1800.0  # it may wait this long for a worker
SILENT_S = 300.0  # a worker that has begun says how far it is more often than this
TOKEN_HOURS = 3

S = ConversionStatus
UNDER_WAY = (S.QUEUED, S.RUNNING)
TRANSITIONS: Transitions = {
    S.QUEUED: (S.QUEUED, S.RUNNING, S.SUCCEEDED, S.FAILED, S.CANCELLED),
    S.RUNNING: (S.QUEUED, S.RUNNING, S.SUCCEEDED, S.FAILED, S.CANCELLED),
}

logger = logging.getLogger(__name__)


@transaction.atomic
def start_conversion(*, listing: Listing, user: User, upload: Upload, base: Release) -> Conversion:
    """Queues the conversion of an upload that was begun with the purpose "conversion". ``base``: whose config says what is in it.

    The same upload again, while it is under way, is the same conversion. Raises NotFound, NotInThisState (another one is under way,
    or the upload is not complete).
    """
    row = locked(listing, user)
    if upload.organization_id != row.organization_id or upload.purpose != Purpose.CONVERSION:
        raise NotFound(_("There is no such upload."))
    if not Listing.objects.visible_to(user).filter(pk=base.listing_id).exists():
        raise NotFound(_("There is no such base."))
    running = row.conversions.filter(status__in=UNDER_WAY).first()
    if running and running.upload_id == upload.pk:
        return running
    if running or upload.status != UploadStatus.DONE:
        raise NotInThisState(_("Another file is being converted, or this one has not arrived whole."))
    conversion = Conversion.objects.create(listing=row, upload_id=upload.pk, base=base, created_by=user)
    send_after_commit("conversion.start", conversion.pk)
    return conversion


@transaction.atomic
def cancel_conversion(*, listing: Listing, user: User) -> Conversion:
    """Ends the one that is under way; its file stays, for another base, or to be thrown away. A worker that has it is refused from now on.

    Raises NotFound (none is under way).
    """
    row = locked(listing, user)
    conversion = _full(row.conversions.filter(status__in=UNDER_WAY)).select_for_update(of=("self",)).first()
    if conversion is None:
        raise NotFound(_("Nothing is being converted: it has ended already."))
    _end(conversion, S.CANCELLED, error="")
    return conversion


@transaction.atomic
def begin_conversion(conversion_id: int) -> tuple[Conversion, Upload, str] | None:
    """Takes what is due in hand, to be sent to a worker, with the token of this attempt. None where nothing is to be sent."""
    due = Conversion.objects.filter(pk=conversion_id, status__in=UNDER_WAY)
    if not leases.take(due, lease_s=QUEUED_S, status=S.QUEUED, progress=0):
        return None
    conversion = _full(due).get()
    upload = Upload.objects.filter(pk=conversion.upload_id, status=UploadStatus.DONE).first()
    if upload is None or conversion.attempts > MAX_ATTEMPTS:
        _end(conversion, S.FAILED, error=_("The file is not there any more, or no worker could convert it."))
        return None
    if conversion.token:
        revoke_token(token=conversion.token)
    issued = issue_token(
        user=conversion.created_by, name=_("Conversion"), scopes=[TokenScope.WRITE],
        expires_at=timezone.now() + timedelta(hours=TOKEN_HOURS),
    )  # fmt: skip
    Conversion.objects.filter(pk=conversion.pk).update(token=issued.token)
    return conversion, upload, issued.secret


def take_conversion(*, conversion_id: int, attempt: int, message: dict[str, Any]) -> None:
    """What a worker says: how far it is, or what it has sent. Only the newest attempt is heard. Raises WireError."""
    report = ConversionReport.from_json(message)
    with transaction.atomic():
        newest = Conversion.objects.filter(pk=conversion_id, attempts=attempt, status__in=UNDER_WAY)
        conversion = _full(newest).select_for_update(of=("self",)).first()
        if conversion is None:
            logger.info("conversion %s: attempt %s is not heard any more", conversion_id, attempt)
        elif report.status == "running":
            soon = timezone.now() + timedelta(seconds=SILENT_S)
            move(conversion, S.RUNNING, TRANSITIONS, progress=min(1.0, max(0.0, report.progress)), due_at=soon)
        elif report.status == "failed" and conversion.attempts < MAX_ATTEMPTS:
            move(conversion, S.QUEUED, TRANSITIONS, due_at=timezone.now(), error=report.error)
        elif report.status == "done":
            _commit(conversion, report)
        else:
            _end(conversion, S.FAILED, error=report.error)


def _commit(conversion: Conversion, report: ConversionReport) -> None:
    """What the worker has sent becomes files of ``main``, beside those that are there."""
    changes = [AddFile(path, sha256) for path, sha256 in report.files.items()]
    try:
        with transaction.atomic():
            commit = commit_files(
                listing=conversion.listing, user=conversion.created_by, changes=changes, title=_("Convert to safetensors")
            )  # fmt: skip
    except StoreError as error:
        return _end(conversion, S.FAILED, error=error.message)
    return _end(conversion, S.SUCCEEDED, commit=commit, progress=1, error="", notes=report.notes)


def _end(conversion: Conversion, status: ConversionStatus, **fields: Any) -> None:
    move(conversion, status, TRANSITIONS, ended_at=timezone.now(), **fields)
    if conversion.token:
        revoke_token(token=conversion.token)
    upload = Upload.objects.filter(pk=conversion.upload_id, status=UploadStatus.DONE).first()
    if upload and status == S.SUCCEEDED:
        transaction.on_commit(lambda: cancel_upload(upload=upload))  # else its owner may try another base


def source_of(conversion_id: int, user: User) -> Path:
    """The file, for who asked for the conversion while it is under way. Raises NotFound, Conflict."""
    conversion = Conversion.objects.filter(pk=conversion_id, created_by=user, status__in=UNDER_WAY).first()
    upload = Upload.objects.filter(pk=conversion.upload_id).first() if conversion else None
    if upload is None:
        raise NotFound(_("There is no such conversion."))
    return conversion_file(upload)


def _full(rows: QuerySet[Conversion]) -> QuerySet[Conversion]:
    return rows.select_related("listing__organization", "base__listing__organization", "created_by", "token")


def due_conversions() -> list[int]:
    """Ids of those to be sent, for the first time or again."""
    due = Conversion.objects.filter(status__in=UNDER_WAY, due_at__lte=Now())
    return list(due.order_by("due_at").values_list("pk", flat=True)[:100])
