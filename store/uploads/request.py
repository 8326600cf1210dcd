"""The head of a request to a link, what it asks for, and what is answered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from django.utils import timezone
from django.utils.http import http_date

from store.errors import NotFound
from store.uploads.actions import expiry
from store.uploads.errors import UploadGone, UploadLocked
from store.uploads.headers import read_number
from store.uploads.links import Link
from store.uploads.models import UNFINISHED, Upload, UploadStatus
from store.uploads.part_file import Held, remove
from store.uploads.receiving import in_thread
from store.uploads.writers import PartWriter, StreamWriter, WholeWriter

LOCK_WAIT_S = 5.0  # for a stale connection to give way
LOCK_POLL_S = 0.1

Scope = Mapping[str, Any]
W = TypeVar("W", StreamWriter, WholeWriter, PartWriter)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the client is told."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


class Request:
    """The head of a request."""

    def __init__(self, scope: Scope) -> None:
        self.path: str = scope["path"]
        method: str = scope["method"]
        self._headers: dict[str, str] = {
            name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]
        }
        self.method = self.header("X-HTTP-Method-Override", method).upper()

    def header(self, name: str, default: str = "") -> str:
        return self._headers.get(name.lower(), default)

    def number(self, name: str) -> int:
        """Raises BadHeader."""
        return read_number(name, self.header(name))

    @property
    def length(self) -> int | None:
        """Bytes of the body, where the client says it. Raises BadHeader."""
        return self.number("Content-Length") if self.header("Content-Length") else None

    def is_longer_than(self, size: int) -> bool:
        """Whether the body has, or may have, more bytes than these."""
        said = self.header("Content-Length")
        return int(said) > size if said.isdecimal() else self.header("Transfer-Encoding") != ""


def upload_of(link: Link) -> Upload:
    """The upload of a link. Raises NotFound, and UploadGone where it has ended without success."""
    upload = Upload.objects.select_related("organization").filter(pk=link.upload_id).first()
    if upload is None:
        raise NotFound("There is no such upload.")
    is_over = upload.status in UNFINISHED and upload.expires_at < timezone.now()
    if is_over or upload.status not in (*UNFINISHED, UploadStatus.DONE):
        raise UploadGone
    return upload


async def held(upload: Upload, *, shared: bool = False) -> Held:
    """The right to write, for which a stale connection is made to give way. Raises UploadLocked, and UploadGone where it has ended meanwhile."""
    until = asyncio.get_running_loop().time() + LOCK_WAIT_S
    while True:
        try:
            return await in_thread(_taken, upload, shared=shared)
        except UploadLocked:
            if asyncio.get_running_loop().time() > until:
                raise
            await asyncio.sleep(LOCK_POLL_S)


def _taken(upload: Upload, *, shared: bool) -> Held:
    """Its status is read once more under the right: who cancels commits first and deletes the folder then, which ``Held`` may have made anew."""
    right = Held(upload.pk, shared=shared)
    status = Upload.objects.filter(pk=upload.pk).values_list("status", flat=True).first()
    if status in UNFINISHED:
        return right
    if status != UploadStatus.DONE:
        remove(upload.pk)
    right.release()
    raise UploadGone


async def opened(right: Held, make: Callable[[], W]) -> W:
    """The writer that ``make`` makes; ``right`` is given back where it cannot. Raises UploadGone, and what ``make`` raises."""
    try:
        return await in_thread(make)
    except BaseException as error:
        right.release()
        if isinstance(error, FileNotFoundError):  # it was cancelled, or finished, before the right to write was had
            raise UploadGone from None
        raise


def renew(upload: Upload) -> None:
    """Bytes came, so the upload lives on."""
    upload.expires_at = expiry()
    Upload.objects.filter(pk=upload.pk, status=UploadStatus.OPEN).update(expires_at=upload.expires_at)


def expires(moment: datetime) -> str:
    """``Upload-Expires``, as HTTP writes dates."""
    return http_date(moment.timestamp())
