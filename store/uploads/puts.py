"""Files as Git LFS sends them: whole by one PUT, or in numbered parts, in any order and several at a time."""

from __future__ import annotations

from functools import partial

from store.errors import InvalidRequest, NotFound
from store.uploads.actions import finish_upload
from store.uploads.errors import BadHeader, UploadGone
from store.uploads.finishing import Arrived, finish_held
from store.uploads.links import Link
from store.uploads.models import UploadStatus
from store.uploads.receiving import Receive, in_thread, pour
from store.uploads.request import Answer, Request, held, opened, renew, upload_of
from store.uploads.writers import PartWriter, WholeWriter


async def put_whole(request: Request, link: Link, receive: Receive) -> Answer:
    """Where the file is here already, its bytes are not read again."""
    upload = await in_thread(upload_of, link)
    if upload.part_size:
        raise InvalidRequest("This file comes in numbered parts.")
    if request.length not in (None, upload.size):
        raise BadHeader(f"The file has {upload.size} bytes.", param="Content-Length")
    if upload.status != UploadStatus.OPEN:
        await in_thread(finish_upload, upload_id=upload.pk)
        return Answer(200)
    right = await held(upload)
    writer = await opened(right, partial(WholeWriter, upload, right))
    try:
        await pour(receive, writer.write, right=right, most=upload.size)
        sha256 = await in_thread(writer.settle)
        await in_thread(finish_held, upload, Arrived(writer.path, sha256))
        return Answer(200, {"ETag": f'"{sha256}"'})
    finally:
        await in_thread(writer.close)


async def put_part(request: Request, link: Link, number: int, receive: Receive) -> Answer:
    """One part. ``finish_upload`` puts them together, once all are here."""
    upload = await in_thread(upload_of, link)
    if number > upload.parts:
        raise NotFound(f"The file has {upload.parts} parts.")
    if upload.status != UploadStatus.OPEN:
        raise UploadGone
    right = await held(upload, shared=True)
    writer = await opened(right, partial(PartWriter, upload, right, number))
    try:
        if request.length not in (None, writer.size):
            raise BadHeader(f"Part {number} has {writer.size} bytes.", param="Content-Length")
        await pour(receive, writer.write, right=right, most=writer.size)
        etag = await in_thread(writer.settle)
        await in_thread(renew, upload)
        return Answer(200, {"ETag": f'"{etag}"'})
    finally:
        await in_thread(writer.close)
