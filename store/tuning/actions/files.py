"""What can be done with files of training data: add, describe, read, delete."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from store.accounts.models import User
from store.catalog import leases
from store.catalog.actions.moves import Transitions, move
from store.catalog.storage import give_up
from store.errors import Conflict, InvalidRequest, NotFound
from store.outbox import send_after_commit
from store.tuning.child import ChildStopped, Refusal, ask_child, local
from store.tuning.errors import FileInUse
from store.tuning.models import UNREAD, DataFile, DataFormat, FilePurpose, FileStatus, unfinished_with
from store.uploads.actions import check_sender
from store.uploads.models import Purpose, Upload, UploadStatus

MAX_ATTEMPTS = 3  # to read a file: then something in it kills the worker
FIELDS = (
    "messages",
    "tools",
    "prompt",
    "completion",
    "text",
    "chosen",
    "rejected",
    "input",
    "preferred_output",
    "non_preferred_output",
)
MAX_COLUMN = 200  # characters of its name

S = FileStatus
TRANSITIONS: Transitions = {
    S.PROCESSING: (S.PROCESSED, S.ERROR),
    S.UPLOADED: (S.UPLOADED,),
    S.PROCESSED: (S.UPLOADED,),
    S.ERROR: (S.UPLOADED,),
}


@transaction.atomic
def add_file(
    *,
    upload: Upload,
    user: User | None,
    format: str = "",
    mapping: Mapping[str, str] | None = None,
    expires_at: datetime | None = None,
    created_by_id: int | None = None,
) -> DataFile:
    """Makes a data file of an upload of purpose "data" that is done, and has it read. ``user`` None: a key of the organization asks.

    Raises NotFound, PermissionDenied, InvalidRequest (``format``, ``mapping``), Conflict (the upload is not done).
    """
    check_sender(upload.organization, user)
    if upload.purpose != Purpose.DATA:
        raise NotFound(_("There is no such upload."))
    if upload.status != UploadStatus.DONE:
        raise Conflict(_("The file has not arrived whole."))
    check_description(format, mapping or {})
    file = DataFile.objects.create(
        organization=upload.organization, filename=upload.path, size=upload.size, blob_id=upload.sha256, sha256=upload.sha256,
        format=format, mapping=dict(mapping or {}), created_by_id=user.pk if user else created_by_id,
        expires_at=expires_at,
    )  # fmt: skip
    send_after_commit("data.read", file.pk)
    return file


@transaction.atomic
def describe_file(*, file: DataFile, user: User | None, format: str, mapping: Mapping[str, str]) -> DataFile:
    """Says what the records are, and in which column is what: the file is read anew, and what was counted in it is forgotten.

    Raises NotFound, PermissionDenied, InvalidRequest, FileInUse, NotInThisState (it is being read at this moment).
    """
    row = _locked(file, user)
    check_description(format, mapping)
    _check_unused(row)
    if row.purpose != FilePurpose.TUNE:
        raise InvalidRequest(_("This file is no training data."), param="file")
    row.tallies.all().delete()
    move(
        row, S.UPLOADED, TRANSITIONS, status_details="", report={}, examples=0, format=format, mapping=dict(mapping),
        described_at=row.attempts, due_at=Now(),
    )  # fmt: skip
    send_after_commit("data.read", row.pk)
    return row


@transaction.atomic
def delete_file(*, file: DataFile, user: User | None) -> None:
    """The file is gone, and counts no more. Raises NotFound, PermissionDenied, FileInUse (a training works with it)."""
    row = _locked(file, user)
    _check_unused(row)
    _delete(row)


def delete_expired() -> int:
    """Deletes files whose time is over, unless a training works with them. Returns how many."""
    deleted = 0
    for pk in DataFile.objects.filter(deleted_at=None, expires_at__lte=Now()).values_list("pk", flat=True):
        with transaction.atomic():
            row = DataFile.objects.select_for_update(of=("self",)).select_related("organization").get(pk=pk)
            if row.deleted_at is None and not unfinished_with(row).exists():
                _delete(row)
                deleted += 1
    return deleted


def _locked(file: DataFile, user: User | None) -> DataFile:
    """The row as it is now, for somebody who may change it. Raises NotFound, PermissionDenied."""
    row = (
        DataFile.objects.kept()
        .select_for_update(of=("self",))
        .select_related("organization")
        .filter(pk=file.pk)
        .first()
    )
    if row is None:
        raise NotFound(_("There is no such file."))
    check_sender(row.organization, user)
    return row


def _check_unused(row: DataFile) -> None:
    """Raises FileInUse."""
    job = unfinished_with(row).first()
    if job:
        raise FileInUse(_("%s works with this file. Wait for its end, or cancel it.") % job.public_id)


def _delete(row: DataFile) -> None:
    DataFile.objects.filter(pk=row.pk).update(deleted_at=timezone.now(), blob=None, report={})
    give_up(organization=row.organization, sha256=row.sha256)


def check_description(format: str, mapping: Mapping[str, str]) -> None:
    """Raises InvalidRequest (``format``, ``mapping``)."""
    if format and format not in DataFormat.values:
        raise InvalidRequest(_("The format is one of %s.") % ", ".join(DataFormat.values), param="format")
    for field, column in mapping.items():
        if field not in FIELDS:
            raise InvalidRequest(_("A mapping names %s.") % ", ".join(FIELDS), param=f"mapping.{str(field)[:50]}")
        if not (isinstance(column, str) and 0 < len(column) <= MAX_COLUMN and "\0" not in column):
            raise InvalidRequest(_("A column has a name."), param=f"mapping.{field}")


def run_reading(file_id: int) -> None:
    """Reads what is due, in a child process. For the worker, and not inside a transaction: it may run twice, the newest attempt wins."""
    due = DataFile.objects.kept().filter(pk=file_id, status__in=UNREAD)
    if not leases.take(due, status=S.PROCESSING):
        return
    file = due.select_related("blob").get()
    own = DataFile.objects.filter(pk=file.pk, attempts=file.attempts, status=S.PROCESSING, deleted_at=None)
    if file.attempts - file.described_at > MAX_ATTEMPTS or file.blob is None:
        message = _("Reading it was broken off %(count)d times. Upload it again.") % {"count": MAX_ATTEMPTS}
        _finish(own, Refusal(0, "broken_off", message))
        return

    def take(message: dict[str, Any]) -> bool:
        report = message["report"]
        return own.update(report=report, examples=report["examples"]) == 1

    try:
        with leases.kept(own), local(file.blob) as path:
            refusal = ask_child(file, path, take=take)
    except ChildStopped:
        return
    _finish(own, refusal)


def _finish(own: QuerySet[DataFile], refusal: Refusal | None) -> None:
    """A later attempt, or who deleted the file meanwhile, makes it nothing."""
    file = own.first()
    if file is None:
        return
    if refusal:
        where = _("Line %d: ") % refusal.line if refusal.line else ""
        move(file, S.ERROR, TRANSITIONS, status_details=where + refusal.message)
        return
    faults = file.report.get("fault_count", 0)
    fields = {"format": file.report["format"]} if file.report.get("format") else {}
    if faults:
        first = file.report["faults"][0]
        said = ngettext(
            "%(count)d line cannot be used: line %(line)d. %(message)s",
            "%(count)d lines cannot be used. The first is line %(line)d: %(message)s",
            faults,
        )
        details = said % {"count": faults, "line": first["line"], "message": first["message"]}
        move(file, S.ERROR, TRANSITIONS, status_details=details, **fields)
    else:
        move(file, S.PROCESSED, TRANSITIONS, **fields)


def due_files() -> list[int]:
    """Ids of files whose reading is due: the message was lost, or its worker died."""
    due = DataFile.objects.kept().filter(status__in=UNREAD, due_at__lte=Now()).order_by("due_at")
    return list(due.values_list("pk", flat=True)[:100])
