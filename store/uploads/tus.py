"""tus 1.0.0 with creation (store.uploads.views), checksum, expiration and termination: https://tus.io/protocols/resumable-upload."""

from __future__ import annotations

from functools import partial

from django.conf import settings

from store.errors import InvalidRequest
from store.uploads.actions import cancel_upload, finish_upload
from store.uploads.errors import WrongContentType, WrongOffset, WrongVersion
from store.uploads.finishing import finish_held
from store.uploads.headers import ALGORITHMS, read_checksum
from store.uploads.links import Link
from store.uploads.models import UNFINISHED, Upload, UploadStatus
from store.uploads.reads import offset_of
from store.uploads.receiving import Receive, in_thread, pour
from store.uploads.request import Answer, Request, expires, held, opened, renew, upload_of
from store.uploads.writers import StreamWriter

VERSION = "1.0.0"
EXTENSIONS = "creation,expiration,checksum,termination"
CHUNK_TYPE = "application/offset+octet-stream"


def capabilities() -> Answer:
    headers = {"Tus-Version": VERSION, "Tus-Extension": EXTENSIONS, "Tus-Max-Size": str(settings.MAX_FILE_BYTES)}
    return Answer(204, headers | {"Tus-Checksum-Algorithm": ",".join(ALGORITHMS)})


def check_version(version: str) -> None:
    """Raises WrongVersion."""
    if version != VERSION:
        raise WrongVersion


async def head(request: Request, link: Link) -> Answer:
    """Where to go on. It makes a stale connection give way first, and finishes what is whole and was not put away."""
    check_version(request.header("Tus-Resumable"))
    upload = await in_thread(upload_of, link)
    if upload.status == UploadStatus.OPEN and not upload.part_size:
        (await held(upload)).release()
    offset = await in_thread(offset_of, upload)
    if offset == upload.size and upload.status in UNFINISHED:
        await in_thread(finish_upload, upload_id=upload.pk)
    return Answer(200, _where(upload, offset) | {"Upload-Length": str(upload.size)})


async def patch(request: Request, link: Link, receive: Receive) -> Answer:
    """A chunk at the end of what has arrived."""
    check_version(request.header("Tus-Resumable"))
    if request.header("Content-Type") != CHUNK_TYPE:
        raise WrongContentType
    offset, length = request.number("Upload-Offset"), request.length
    checksum = read_checksum(request.header("Upload-Checksum"))
    upload = await in_thread(upload_of, link)
    if upload.part_size:
        raise InvalidRequest("This file comes in numbered parts.")
    if upload.status != UploadStatus.OPEN:
        return await _late(upload, offset)
    right = await held(upload)
    writer = await opened(right, partial(StreamWriter, upload, right, offset=offset, length=length, checksum=checksum))
    try:
        is_whole = False
        try:
            await pour(receive, writer.write, right=right, most=upload.size - offset)
            is_whole = True
        finally:
            await in_thread(writer.settle, is_whole=is_whole)
        await in_thread(renew, upload)
        if writer.position == upload.size:
            await in_thread(finish_held, upload)
        return Answer(204, _where(upload, writer.position))
    finally:
        await in_thread(writer.close)


async def delete(request: Request, link: Link) -> Answer:
    check_version(request.header("Tus-Resumable"))
    await in_thread(lambda: cancel_upload(upload=upload_of(link)))
    return Answer(204)


async def _late(upload: Upload, offset: int) -> Answer:
    """A chunk for what is whole already: its client did not hear the last answer."""
    if offset != upload.size:
        raise WrongOffset(upload.size)
    await in_thread(finish_upload, upload_id=upload.pk)
    return Answer(204, _where(upload, offset))


def _where(upload: Upload, offset: int) -> dict[str, str]:
    return {"Upload-Offset": str(offset), "Upload-Expires": expires(upload.expires_at)}
