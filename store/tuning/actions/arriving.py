"""Data files that come in parts: begin, take a part, put them together, cancel."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from django.db import transaction
from django.db.models import Sum
from django.utils import timezone
from django.utils.translation import gettext as _

from store.accounts.models import Organization
from store.errors import InvalidRequest, NotFound
from store.tuning.actions.files import add_file
from store.tuning.models import DataFile, FileUpload, FileUploadPart
from store.uploads import part_file
from store.uploads.actions import FINISH_WAIT_S, begin_upload, cancel_upload
from store.uploads.errors import DiskFull, Incomplete, TooLarge, UploadGone
from store.uploads.finishing import Arrived, finish_held
from store.uploads.models import UNFINISHED, Purpose, UploadStatus

MAX_PART_BYTES = 64 * 1024**2  # as OpenAI's
MAX_PARTS = 10_000
SENT_TWICE = 2  # parts may hold so many times the file: a client that heard no answer sends one again
CHUNK_BYTES = 1024**2


@transaction.atomic
def begin_file_upload(
    *,
    organization: Organization,
    created_by_id: int | None,
    filename: str,
    size: int,
    mime_type: str,
    expires_after_s: int | None = None,
) -> FileUpload:
    """Announces a file of ``size`` bytes. Raises what ``begin_upload`` raises."""
    if size < 1:
        raise InvalidRequest(_("A file has one byte or more."), param="bytes")
    upload = begin_upload(organization=organization, user=None, path=filename, size=size, purpose=Purpose.DATA)
    return FileUpload.objects.create(
        upload=upload, mime_type=mime_type, expires_after_s=expires_after_s, created_by_id=created_by_id
    )


def check_open(upload: FileUpload) -> None:
    """Raises UploadGone where no part can be added, or made a file of, any more."""
    if upload.upload.status not in UNFINISHED or upload.upload.expires_at < timezone.now():
        raise UploadGone(_("This upload is complete, was cancelled or has expired."))


@transaction.atomic
def add_part(*, upload: FileUpload, path: Path, size: int) -> FileUploadPart:
    """Writes down a part that lies in the upload's folder. Raises TooLarge, UploadGone."""
    row = FileUpload.objects.select_for_update(of=("self",)).select_related("upload").get(pk=upload.pk)
    check_open(row)
    came = row.parts.aggregate(sum=Sum("size"))["sum"] or 0
    if came + size > SENT_TWICE * row.upload.size or row.parts.count() >= MAX_PARTS:
        path.unlink(missing_ok=True)
        raise TooLarge(_("The parts hold far more than the %d bytes of the file.") % row.upload.size, param="data")
    return FileUploadPart.objects.create(of=row, name=path.name, size=size)


def complete_file_upload(*, upload: FileUpload, part_ids: Sequence[str], md5: str = "") -> DataFile:
    """Puts the parts together in this order, and makes a file of them. Twice is once. Not inside a transaction.

    Raises InvalidRequest (``part_ids``, ``md5``), Incomplete, UploadGone, DiskFull.
    """
    with part_file.held(upload.upload_id, wait_s=FINISH_WAIT_S) as right:
        upload.refresh_from_db()
        if upload.file:
            part_file.remove(upload.upload_id)  # to hold the right to write made the folder anew
            return upload.file
        row = upload.upload
        row.refresh_from_db()
        if row.status != UploadStatus.DONE:  # else it was put away, and the answer lost
            check_open(upload)
            arrived = _joined(upload, right.folder, part_ids, md5)
            finish_held(row, arrived)
    return _made(upload)


@transaction.atomic
def _made(upload: FileUpload) -> DataFile:
    row = FileUpload.objects.select_for_update(of=("self",)).select_related("upload__organization").get(pk=upload.pk)
    if row.file is None:
        after = row.expires_after_s
        expires_at = timezone.now() + timedelta(seconds=after) if after else None
        row.upload.refresh_from_db()
        row.file = add_file(upload=row.upload, user=None, created_by_id=row.created_by_id, expires_at=expires_at)
        FileUpload.objects.filter(pk=row.pk).update(file=row.file)
    return row.file


def cancel_file_upload(*, upload: FileUpload) -> None:
    """Throws the parts away. Twice is once. Raises TooLate where it is complete."""
    cancel_upload(upload=upload.upload)


def _joined(upload: FileUpload, folder: Path, part_ids: Sequence[str], md5: str) -> Arrived:
    known = {part.public_id: part for part in upload.parts.all()}
    unknown = [name for name in part_ids if name not in known]
    if unknown or len(set(part_ids)) < len(part_ids):
        raise InvalidRequest(_("“part_ids” names each part of this upload once, in their order."), param="part_ids")
    parts = [known[name] for name in part_ids]
    came = sum(part.size for part in parts)
    if came != upload.upload.size:
        raise Incomplete(
            _("The parts have %(came)d bytes, and %(size)d were announced.")
            % {"came": came, "size": upload.upload.size},
            param="part_ids",
        )
    part_file.check_room(came)
    target = folder / part_file.STREAM
    try:
        sha256, found_md5 = _copied([folder / part.name for part in parts], target)
    except FileNotFoundError:
        raise NotFound(_("A part is not here any more. Begin a new upload.")) from None
    except OSError as error:
        if error.errno in part_file.NO_ROOM:
            raise DiskFull from error
        raise
    if md5 and md5.lower() != found_md5:
        raise InvalidRequest(
            _("The file has the MD5 %s. Send the parts again, in their order.") % found_md5, param="md5"
        )
    return Arrived(target, sha256)


def _copied(parts: Sequence[Path], target: Path) -> tuple[str, str]:
    """Hex SHA-256 and MD5 of all parts, one after the other in ``target``."""
    sha256, md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
    with target.open("wb") as out:
        for part in parts:
            with part.open("rb") as file:
                while chunk := file.read(CHUNK_BYTES):
                    out.write(chunk)
                    sha256.update(chunk)
                    md5.update(chunk)
        out.flush()
        os.fsync(out.fileno())
    return sha256.hexdigest(), md5.hexdigest()
