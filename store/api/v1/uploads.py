"""``/v1/uploads``: files in parts, in OpenAI's format. https://platform.openai.com/docs/api-reference/uploads"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import timezone

from store.accounts.models import Organization
from store.api.v1.arriving import receive_of
from store.api.v1.endpoint import endpoint, grant_of, json_response
from store.api.v1.files import check_purpose, expires_after, shown
from store.errors import InvalidRequest, NotFound
from store.keys.grants import KeyGrant
from store.runs.database_thread import query
from store.tuning.actions.arriving import (
    MAX_PART_BYTES,
    add_part,
    begin_file_upload,
    cancel_file_upload,
    check_open,
    complete_file_upload,
)
from store.tuning.models import FileUpload
from store.uploads.errors import TooLarge
from store.uploads.forms import length_of, receive_part
from store.uploads.models import UNFINISHED, UploadStatus
from store.uploads.receiving import in_thread

FORM_BYTES = 64 * 1024  # what a form has besides its part


class ExpiresAfter(msgspec.Struct, forbid_unknown_fields=True):
    anchor: str
    seconds: int


class NewUpload(msgspec.Struct, forbid_unknown_fields=True):
    bytes: int
    filename: str
    mime_type: str
    purpose: str
    expires_after: ExpiresAfter | None = None


class Completion(msgspec.Struct, forbid_unknown_fields=True):
    part_ids: list[str]
    md5: str | None = None


@endpoint("POST")
async def uploads(request: HttpRequest) -> HttpResponseBase:
    """``POST /v1/uploads``: announces a file."""
    grant = await grant_of(request)
    asked = read(request.body, NewUpload)
    return json_response(await query(_begun, grant, asked))


@endpoint("POST")
async def parts(request: HttpRequest, upload_id: str) -> HttpResponseBase:
    """``POST /v1/uploads/{id}/parts``: a part, several at a time and in any order."""
    grant = await grant_of(request)
    upload = await query(_upload_of, grant, upload_id)
    check_open(upload)
    length = length_of(request.headers.get("Content-Length", ""))
    if length > MAX_PART_BYTES + FORM_BYTES:
        raise TooLarge(f"A part has {MAX_PART_BYTES} bytes at most.", param="data")
    path, size = await receive_part(
        receive_of(request), content_type=request.headers.get("Content-Type", ""), length=length, upload=upload.upload
    )
    return json_response(await query(_part_added, upload, path, size))


@endpoint("POST")
async def complete(request: HttpRequest, upload_id: str) -> HttpResponseBase:
    """``POST /v1/uploads/{id}/complete``: the parts become a file."""
    grant = await grant_of(request)
    asked = read(request.body, Completion)
    upload = await query(_upload_of, grant, upload_id)
    await in_thread(complete_file_upload, upload=upload, part_ids=asked.part_ids, md5=asked.md5 or "")
    return json_response(await query(lambda: _shown(_upload_of(grant, upload_id))))


@endpoint("POST")
async def cancel(request: HttpRequest, upload_id: str) -> HttpResponseBase:
    """``POST /v1/uploads/{id}/cancel``."""
    grant = await grant_of(request)
    upload = await query(_upload_of, grant, upload_id)
    await in_thread(cancel_file_upload, upload=upload)
    return json_response(await query(lambda: _shown(_upload_of(grant, upload_id))))


def read(body: bytes, kind: Any) -> Any:
    """Raises InvalidRequest."""
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        said = str(error)
        param = said.rpartition("$.")[2].rstrip("`") if "$." in said else None
        raise InvalidRequest(said, param=param) from None


def _begun(grant: KeyGrant, asked: NewUpload) -> dict[str, Any]:
    check_purpose(asked.purpose)
    after = expires_after(asked.expires_after.anchor, asked.expires_after.seconds) if asked.expires_after else None
    upload = begin_file_upload(
        organization=Organization.objects.get(pk=grant.organization_id), created_by_id=grant.created_by_id,
        filename=asked.filename, size=asked.bytes, mime_type=asked.mime_type[:200], expires_after_s=after,
    )  # fmt: skip
    upload.upload.refresh_from_db()
    return _shown(upload)


def _part_added(upload: FileUpload, path: Path, size: int) -> dict[str, Any]:
    part = add_part(upload=upload, path=path, size=size)
    part.refresh_from_db()
    return {
        "id": part.public_id,
        "object": "upload.part",
        "created_at": int(part.created_at.timestamp()),
        "upload_id": upload.public_id,
    }


def _upload_of(grant: KeyGrant, upload_id: str) -> FileUpload:
    """An upload of the key's organization. Raises NotFound."""
    rows = FileUpload.objects.select_related("upload__organization", "file")
    own = rows.filter(upload__organization=grant.organization_id, public_id=upload_id)
    found = own.first() if "\0" not in upload_id else None
    if found is None:
        raise NotFound(f"No such Upload object: {upload_id[:60]}", param="upload_id")
    return found


def _shown(upload: FileUpload) -> dict[str, Any]:
    row = upload.upload
    return {
        "id": upload.public_id,
        "object": "upload",
        "bytes": row.size,
        "created_at": int(row.created_at.timestamp()),
        "expires_at": int(row.expires_at.timestamp()),
        "filename": row.path,
        "purpose": "fine-tune",
        "status": _status(upload),
        "file": shown(upload.file) if upload.file and upload.file.deleted_at is None else None,
    }


def _status(upload: FileUpload) -> str:
    row = upload.upload
    if row.status == UploadStatus.EXPIRED or (row.status in UNFINISHED and row.expires_at < timezone.now()):
        return "expired"
    if row.status in UNFINISHED:
        return "pending"
    return "completed" if row.status == UploadStatus.DONE else "cancelled"
