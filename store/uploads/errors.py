"""What can go wrong on the way in. The statuses are those of tus 1.0 where it names one."""

from __future__ import annotations

from inference.manifest import Problem
from store.errors import Conflict, InvalidRequest, StoreError


class FileRefused(StoreError):
    """A file of this name, or with these first bytes, can be in no model. ``problem`` says why and how to mend it."""

    code = "file_refused"
    status = 422

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message, param="path")
        self.problem = problem


class TooLarge(StoreError):
    """The file is larger than MAX_FILE_BYTES, or a request brings more bytes than were promised."""

    code = "file_too_large"
    status = 413


class TooManyUploads(StoreError):
    """The organization has begun more uploads than it can go on with."""

    code = "too_many_uploads"
    status = 429


class DiskFull(StoreError):
    """The store itself has no room. What has arrived stays."""

    code = "disk_full"
    status = 507
    default_message = "The store has no room for this now. What has arrived is kept: go on later."


class WrongOffset(Conflict):
    """The bytes begin elsewhere than where the last ones ended. ``offset`` is where to go on."""

    code = "wrong_offset"

    def __init__(self, offset: int) -> None:
        super().__init__(f"{offset} bytes have arrived: go on from there.")
        self.offset = offset


class Incomplete(Conflict):
    """Bytes or parts are missing still."""

    code = "upload_incomplete"


class ChecksumMismatch(StoreError):
    """A chunk was damaged on its way; nothing of it is kept."""

    code = "checksum_mismatch"
    status = 460
    default_message = "This chunk was damaged on its way. Send it again."


class DigestMismatch(StoreError):
    """The whole file is not what was promised; it is thrown away."""

    code = "digest_mismatch"
    status = 422


class UploadGone(StoreError):
    """The upload was cancelled, has expired or has failed."""

    code = "upload_gone"
    status = 410
    default_message = "This upload has ended. Begin a new one."


class UploadLocked(StoreError):
    """Another connection is sending to this upload."""

    code = "upload_locked"
    status = 423
    default_message = "Another connection is sending this file right now."


class TooSlow(StoreError):
    """Nothing came for SLOW_CLIENT_S. What has arrived stays."""

    code = "client_too_slow"
    status = 408
    default_message = "No bytes came for too long. What has arrived is kept."


class WrongVersion(StoreError):
    """Not the version of tus that is spoken here."""

    code = "wrong_tus_version"
    status = 412
    default_message = "Tus-Resumable has to be 1.0.0."


class WrongContentType(StoreError):
    """A chunk of tus has a content type of its own."""

    code = "wrong_content_type"
    status = 415
    default_message = "The Content-Type of a chunk is application/offset+octet-stream."


class BadHeader(InvalidRequest):
    """A header is missing or cannot be read; ``param`` names it."""

    code = "bad_header"
