"""What can be done to an upload: begin, cancel, finish; and what happens to those that nobody goes on with."""

from __future__ import annotations

import hashlib
import re
import shutil
import time
import uuid
from datetime import datetime, timedelta
from pathlib import Path, PurePosixPath

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from inference.manifest import SNIFF_BYTES, Problem, check_path, check_start
from store.accounts.models import Organization, User
from store.catalog import blobs
from store.catalog.actions.permission import may_publish
from store.catalog.models import Blob
from store.catalog.storage import has_blobs, keep_blob, reserve, unreserve
from store.errors import Conflict, InvalidRequest, NotFound, PermissionDenied
from store.uploads import part_file
from store.uploads.errors import FileRefused, TooLarge, TooManyUploads, UploadGone
from store.uploads.finishing import end, finish_held
from store.uploads.models import RESERVING, UNFINISHED, Purpose, Upload, UploadStatus

SHA256 = re.compile(r"[0-9a-f]{64}")
CONVERTIBLE = (".bin", ".pt", ".pth")
MAX_FILENAME = 255  # characters
MAX_PARTS = 10_000  # as in S3
MAX_UNFINISHED = 2_000  # of an organization: a release has a thousand files at most
FINISH_WAIT_S = 60.0  # for somebody else who is finishing the same upload
ORPHAN_S = 3600.0  # after which a folder without a living upload is deleted


class TooLate(Conflict):
    """The upload is done, or being put away: it cannot be cancelled any more."""

    code = "upload_done"


def begin_upload(
    *,
    organization: Organization,
    user: User | None,
    path: str,
    size: int,
    sha256: str = "",
    part_size: int | None = None,
    purpose: str = Purpose.FILE,
) -> Upload:
    """Makes an upload and reserves its size; ``user`` None is the store's operator.

    Where ``sha256`` is content that the organization may use already, the upload is DONE at once and no byte need be sent.
    Raises NotFound (no such organization for the user), PermissionDenied (its role), InvalidRequest, FileRefused (the name),
    TooLarge, TooManyUploads, QuotaExceeded, DiskFull.
    """
    check_sender(organization, user)
    _check_name(path, purpose)
    _check_numbers(size, sha256, part_size)
    upload = Upload(
        organization=organization, user=user, path=path, size=size, sha256=sha256, part_size=part_size, purpose=purpose,
        expires_at=expiry(),
    )  # fmt: skip
    if sha256 and purpose != Purpose.CONVERSION and has_blobs(organization, [sha256]):
        if Blob.objects.get(pk=sha256).size != size:
            raise InvalidRequest(_("A file with this SHA-256 has another size."), param="size")
        upload.status = UploadStatus.DONE
        upload.save(force_insert=True)
        return upload
    if organization.uploads.filter(status__in=UNFINISHED).count() >= MAX_UNFINISHED:
        raise TooManyUploads(_("Finish or cancel some of the %d uploads that are under way.") % MAX_UNFINISHED)
    part_file.check_room(size)
    with transaction.atomic():
        reserve(organization, size)
        upload.save(force_insert=True)
    return upload


def cancel_upload(*, upload: Upload) -> None:
    """Throws away what has arrived and gives the reservation back. Twice is once. Raises TooLate where it is too late."""
    upload.refresh_from_db()
    is_put_away = upload.status == UploadStatus.DONE and upload.purpose != Purpose.CONVERSION
    if is_put_away or upload.status == UploadStatus.FINISHING:
        raise TooLate(_("%s has arrived already.") % upload.path)
    end(upload, UploadStatus.CANCELLED)


def finish_upload(*, upload_id: uuid.UUID) -> Blob | None:
    """Compares what has arrived with what was promised and makes it content of the organization. Twice is once.

    Not inside a transaction: it may read the whole file. None for a conversion's file, which stays apart (``conversion_file``).
    Raises NotFound, Incomplete (bytes or parts are missing), DigestMismatch and FileRefused (the bytes are thrown away),
    UploadGone (cancelled, expired, failed before), UploadLocked, DiskFull, ContentMissing.
    """
    upload = Upload.objects.select_related("organization").filter(pk=upload_id).first()
    if upload is None:
        raise NotFound(_("There is no such upload."))
    with part_file.held(upload_id, wait_s=FINISH_WAIT_S):
        return finish_held(upload)


@transaction.atomic
def settle_upload(*, upload: Upload, size: int, path: str) -> None:
    """The file has arrived, and is smaller than what was set aside for it: the rest is given back. ``path`` is its name.

    Raises InvalidRequest (the name), UploadGone.
    """
    _check_name(path, upload.purpose)
    still = Upload.objects.filter(pk=upload.pk, status=UploadStatus.OPEN, size=upload.size)
    if size > upload.size or not still.update(size=size, path=path):
        raise UploadGone
    unreserve(upload.organization, upload.size - size)
    upload.size, upload.path = size, path


def store_bytes(
    *, organization: Organization, user: User | None, path: str, data: bytes, purpose: str = Purpose.FILE
) -> Blob:
    """Keeps a small file at once. Not inside a transaction. Raises what ``begin_upload`` raises."""
    check_sender(organization, user)
    _check_name(path, purpose)
    problem = check_start(path, data[:SNIFF_BYTES]) if purpose == Purpose.FILE else None
    if problem:
        raise FileRefused(problem)
    sha256 = hashlib.sha256(data).hexdigest()
    part_file.check_room(len(data))
    reserve(organization, len(data))
    try:
        blobs.store_data(sha256, data)
        return keep_blob(organization=organization, sha256=sha256, size=len(data), reserved=len(data))
    except BaseException:
        unreserve(organization, len(data))
        raise


def conversion_file(upload: Upload) -> Path:
    """Where the pickle of a conversion lies once it is DONE; ``cancel_upload`` deletes it. Raises Conflict before and after."""
    upload.refresh_from_db()
    if upload.purpose != Purpose.CONVERSION or upload.status != UploadStatus.DONE:
        raise Conflict(_("There is no file to convert."))
    return part_file.folder_of(upload.pk) / part_file.CONTENT


def reap_uploads() -> int:
    """Ends uploads that have expired: files deleted, reservation given back. Returns how many."""
    now = timezone.now()
    expired = Upload.objects.filter(RESERVING, expires_at__lt=now).select_related("organization")
    ended = sum(end(upload, UploadStatus.EXPIRED) for upload in expired.iterator())
    # Their rows stay for a while, so that a client which comes late hears what happened.
    past = now - timedelta(seconds=settings.UPLOAD_EXPIRES_S)
    Upload.objects.filter(expires_at__lt=past).exclude(RESERVING).delete()
    _sweep()
    return ended


def expiry() -> datetime:
    """When an upload ends to which bytes come now, and no more afterwards."""
    return timezone.now() + timedelta(seconds=settings.UPLOAD_EXPIRES_S)


def check_sender(organization: Organization, user: User | None) -> None:
    """Raises NotFound for strangers, and PermissionDenied for members whose role does not publish."""
    if user and not may_publish(organization, user):
        if not Organization.objects.visible_to(user).filter(pk=organization.pk).exists():
            raise NotFound(_("There is no such organization."))
        raise PermissionDenied(_("Your role in this organization may not upload files."))


def _check_name(path: str, purpose: str) -> None:
    if purpose == Purpose.DATA:
        return check_filename(path)
    problem = check_path(path)
    if purpose == Purpose.CONVERSION:
        if problem and problem.code == "pickle" and PurePosixPath(path).suffix in CONVERTIBLE:
            return None
        wanted = _("Only *.bin, *.pt and *.pth files are converted.")
        problem = problem if problem and problem.code == "bad_path" else Problem(path, "not_convertible", wanted)
    if problem:
        raise FileRefused(problem)
    return None


def check_filename(name: str) -> None:
    """Of a file that goes into no repository. Raises InvalidRequest."""
    if not 0 < len(name) <= MAX_FILENAME or "/" in name or not name.isprintable() or name.startswith("."):
        raise InvalidRequest(
            _("A file has a name of %d characters at most, without slashes.") % MAX_FILENAME, param="filename"
        )


def _check_numbers(size: int, sha256: str, part_size: int | None) -> None:
    if size < 0:
        raise InvalidRequest(_("A file has 0 bytes or more."), param="size")
    if size > settings.MAX_FILE_BYTES:
        raise TooLarge(_("A file has %d bytes at most.") % settings.MAX_FILE_BYTES, param="size")
    if sha256 and not SHA256.fullmatch(sha256):
        raise InvalidRequest(_("A SHA-256 has 64 hexadecimal digits, in small letters."), param="sha256")
    if part_size is not None and not (part_size > 0 and size <= part_size * MAX_PARTS):
        raise InvalidRequest(_("A file has %d parts at most.") % MAX_PARTS, param="part_size")


def _sweep() -> None:
    """Deletes folders whose upload has ended: a process died, or a writer came late."""
    before = time.time() - ORPHAN_S
    for folder in part_file.root().glob("[0-9a-f]" * 32):
        alive = Upload.objects.filter(RESERVING, pk=folder.name).exists()
        if not alive and folder.stat().st_mtime < before:
            shutil.rmtree(folder, ignore_errors=True)
