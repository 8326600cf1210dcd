"""From bytes that have arrived to content of an organization. Whoever calls these holds the upload's right to write."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from django.db import transaction
from django.utils.translation import gettext as _

from inference.manifest import SNIFF_BYTES, FileEntry, check_start
from store.catalog import blobs
from store.catalog.actions.moves import move
from store.catalog.models import Blob
from store.catalog.storage import keep_blob, unreserve
from store.uploads import digests, part_file
from store.uploads.errors import DigestMismatch, DiskFull, FileRefused, Incomplete, UploadGone
from store.uploads.models import RESERVING, TRANSITIONS, Purpose, Upload, UploadStatus
from store.uploads.part_file import CONTENT, NO_ROOM, PARTS, STREAM, WHOLE


class Arrived(NamedTuple):
    """A whole file and its hex SHA-256."""

    path: Path
    sha256: str


def finish_held(upload: Upload, arrived: Arrived | None = None) -> Blob | None:
    """What ``actions.finish_upload`` says. ``arrived`` is the file where the caller has its digest already."""
    upload.refresh_from_db()
    match upload.status:
        case UploadStatus.OPEN:
            found = arrived or _arrived(upload)
            _check(upload, found)
            move(upload, UploadStatus.FINISHING, TRANSITIONS, sha256=found.sha256)
            return _put_away(upload, found.path)
        case UploadStatus.FINISHING:
            return _put_away(upload, _left_behind(upload))
        case UploadStatus.DONE if upload.purpose == Purpose.CONVERSION:
            return None
        case UploadStatus.DONE:
            part_file.remove(upload.pk)  # to hold the right to write made the folder anew
            return Blob.objects.get(pk=upload.sha256)
    raise UploadGone


def end(upload: Upload, status: UploadStatus) -> bool:
    """Ends an upload that holds a reservation: bytes deleted, reservation given back, once. False: it had ended."""
    with transaction.atomic():
        ended = Upload.objects.filter(RESERVING, pk=upload.pk).update(status=status)
        if ended:
            unreserve(upload.organization, upload.size)
    if ended:
        part_file.remove(upload.pk)
        digests.forget(upload.pk)
    return bool(ended)


def _arrived(upload: Upload) -> Arrived:
    """What the stream or the parts have brought. Raises Incomplete."""
    folder = part_file.folder_of(upload.pk)
    if upload.part_size:
        missing = upload.parts - upload.arrived_parts.count()
        if missing:
            raise Incomplete(
                _("%(missing)d of %(parts)d parts are missing.") % {"missing": missing, "parts": upload.parts}
            )
        return Arrived(folder / PARTS, digests.digest_of(folder / PARTS))
    came = part_file.stream_length(upload.pk)
    if came != upload.size:
        raise Incomplete(_("%(came)d of %(size)d bytes have arrived.") % {"came": came, "size": upload.size})
    (folder / STREAM).touch()  # an empty file has no chunk that would have made it
    return Arrived(folder / STREAM, digests.digest_of(folder / STREAM, digests.known(upload.pk)))


def _check(upload: Upload, found: Arrived) -> None:
    """Ends the upload and raises DigestMismatch or FileRefused where it is not what it should be."""
    if upload.sha256 and upload.sha256 != found.sha256:
        end(upload, UploadStatus.FAILED)
        raise DigestMismatch(
            _("%(path)s should have the SHA-256 %(promised)s, and has %(found)s. Send it again.")
            % {"path": upload.path, "promised": upload.sha256, "found": found.sha256}
        )
    with found.path.open("rb") as file:
        start = file.read(SNIFF_BYTES)
    problem = check_start(upload.path, start) if upload.purpose == Purpose.FILE else None
    if problem:
        end(upload, UploadStatus.FAILED)
        raise FileRefused(problem)


def _left_behind(upload: Upload) -> Path | None:
    """The file of an upload whose putting away was broken off; None where it is in its place already."""
    folder = part_file.folder_of(upload.pk)
    for name in (STREAM, WHOLE, PARTS):
        path = folder / name
        if path.exists() and path.stat().st_size == upload.size and digests.digest_of(path) == upload.sha256:
            return path
    return None


def _put_away(upload: Upload, path: Path | None) -> Blob | None:
    """Broken off anywhere, it can be done again. Raises DiskFull, ContentMissing and OSError."""
    if upload.purpose == Purpose.CONVERSION:
        if path:
            path.replace(path.with_name(CONTENT))
        move(upload, UploadStatus.DONE, TRANSITIONS)
        return None
    try:
        if path:
            blobs.take_file(FileEntry(upload.path, upload.size, upload.sha256), path)
    except OSError as error:
        if error.errno in NO_ROOM:
            raise DiskFull from error
        raise
    with transaction.atomic():
        move(upload, UploadStatus.DONE, TRANSITIONS)
        blob = keep_blob(organization=upload.organization, sha256=upload.sha256, size=upload.size, reserved=upload.size)
    part_file.remove(upload.pk)
    digests.forget(upload.pk)
    return blob
