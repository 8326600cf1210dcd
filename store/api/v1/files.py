"""``/v1/files``: training data, in OpenAI's format. https://platform.openai.com/docs/api-reference/files"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any, NamedTuple

from django.core.files.storage import FileSystemStorage, default_storage
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils import timezone
from django.utils.http import content_disposition_header

from store.accounts.models import Organization
from store.api.v1.arriving import receive_of
from store.api.v1.endpoint import endpoint, grant_of, json_response
from store.errors import InvalidRequest, NotFound
from store.hub.ranges import read_range
from store.hub.streaming import stream
from store.keys.grants import KeyGrant
from store.runs.database_thread import query
from store.tuning.actions.files import add_file, check_description, delete_file
from store.tuning.models import DataFile, FilePurpose, FileStatus
from store.uploads.forms import length_of, receive_file
from store.uploads.models import Upload

MOST_LISTED = 10_000
MAPPED = "mapping["
EXPIRES_S = range(3600, 30 * 24 * 3600 + 1)  # what OpenAI allows
FIELDS = ("purpose", "format", "expires_after[anchor]", "expires_after[seconds]")
BINARY = "application/octet-stream"


class _Description(NamedTuple):
    """What a form says of its file. ``expires_after_s``: None keeps it."""

    format: str
    mapping: dict[str, str]
    expires_after_s: int | None


@endpoint("GET", "POST")
async def files(request: HttpRequest) -> HttpResponseBase:
    """``GET``: the organization's files. ``POST``: a new one."""
    grant = await grant_of(request)
    if request.method == "GET":
        return json_response(await query(_listed, grant, request.GET.dict()))
    organization = await query(Organization.objects.get, pk=grant.organization_id)
    upload, fields = await receive_file(
        receive_of(request), content_type=request.headers.get("Content-Type", ""),
        length=length_of(request.headers.get("Content-Length", "")), organization=organization, check=_described,
    )  # fmt: skip
    return json_response(shown(await query(_added, upload, fields, grant)))


@endpoint("GET", "DELETE")
async def file(request: HttpRequest, file_id: str) -> HttpResponseBase:
    """``/v1/files/{id}``."""
    grant = await grant_of(request)
    found = await query(file_of, grant, file_id)
    if request.method == "DELETE":
        await query(delete_file, file=found, user=None)
        return json_response({"id": found.public_id, "object": "file", "deleted": True})
    return json_response(shown(found))


@endpoint("GET", "HEAD")
async def content(request: HttpRequest, file_id: str) -> HttpResponseBase:
    """``/v1/files/{id}/content``, or a range of it."""
    grant = await grant_of(request)
    return await content_response(request, await query(file_of, grant, file_id))


async def content_response(request: HttpRequest, found: DataFile) -> HttpResponseBase:
    """The bytes of a file. Raises RangeNotSatisfiable."""
    assert found.blob
    name = found.blob.storage_name
    if not isinstance(default_storage, FileSystemStorage):
        return HttpResponseRedirect(await asyncio.to_thread(default_storage.url, name))
    asked = read_range(request.headers.get("Range", ""), found.size)
    begin, end = asked or (0, found.size)
    headers = {
        "Content-Length": str(end - begin), "Accept-Ranges": "bytes", "ETag": f'"{found.sha256}"',
        "Content-Disposition": content_disposition_header(True, found.filename) or "",
    }  # fmt: skip
    if asked:
        headers["Content-Range"] = f"bytes {begin}-{end - 1}/{found.size}"
    status = 206 if asked else 200
    if request.method == "HEAD":
        return HttpResponse(status=status, headers=headers, content_type=BINARY)
    body = stream(default_storage.path(name), begin, end)
    return StreamingHttpResponse(body, status=status, headers=headers, content_type=BINARY)


def shown(found: DataFile) -> dict[str, Any]:
    """OpenAI's ``file``."""
    status = FileStatus.UPLOADED if found.status == FileStatus.PROCESSING else found.status
    return {
        "id": found.public_id,
        "object": "file",
        "bytes": found.size,
        "created_at": int(found.created_at.timestamp()),
        "filename": found.filename,
        "purpose": found.purpose,
        "status": status,
        "status_details": found.status_details or None,
        "expires_at": int(found.expires_at.timestamp()) if found.expires_at else None,
    }


def file_of(grant: KeyGrant, file_id: str) -> DataFile:
    """A file of the key's organization. Raises NotFound."""
    kept = DataFile.objects.kept().filter(organization=grant.organization_id)
    found = kept.select_related("blob").filter(public_id=file_id).first() if "\0" not in file_id else None
    if found is None:
        raise NotFound(f"No such File object: {file_id[:60]}", param="id")
    return found


def check_purpose(purpose: str) -> None:
    """Raises InvalidRequest."""
    if purpose != FilePurpose.TUNE:
        said = f"{purpose[:40]!r} is not supported" if purpose else "It is missing"
        raise InvalidRequest(f"{said}: files are taken for the purpose {FilePurpose.TUNE.value!r}.", param="purpose")


def expires_after(anchor: Any, seconds: Any) -> int | None:
    """Seconds after which a file goes. Raises InvalidRequest."""
    if anchor is None and seconds is None:
        return None
    if anchor != "created_at":
        raise InvalidRequest("The anchor is 'created_at'.", param="expires_after.anchor")
    if not str(seconds).isdecimal() or int(seconds) not in EXPIRES_S:
        raise InvalidRequest(f"{EXPIRES_S[0]} to {EXPIRES_S[-1]} seconds.", param="expires_after.seconds")
    return int(seconds)


def _described(fields: dict[str, str]) -> _Description:
    """Raises InvalidRequest."""
    check_purpose(fields.get("purpose", ""))
    odd = [name for name in fields if name not in FIELDS and not name.startswith(MAPPED)]
    if odd:
        raise InvalidRequest(f"{odd[0][:50]!r} is not supported.", param=odd[0][:50])
    mapping = {name[len(MAPPED) : -1]: value for name, value in fields.items() if name.startswith(MAPPED)}
    check_description(fields.get("format", ""), mapping)
    after = expires_after(fields.get("expires_after[anchor]"), fields.get("expires_after[seconds]"))
    return _Description(fields.get("format", ""), mapping, after)


def _added(upload: Upload, fields: dict[str, str], grant: KeyGrant) -> DataFile:
    format, mapping, after = _described(fields)
    expires_at = timezone.now() + timedelta(seconds=after) if after else None
    made = add_file(
        upload=upload,
        user=None,
        created_by_id=grant.created_by_id,
        format=format,
        mapping=mapping,
        expires_at=expires_at,
    )
    made.refresh_from_db()
    return made


def _listed(grant: KeyGrant, asked: dict[str, str]) -> dict[str, Any]:
    rows = DataFile.objects.kept().filter(organization=grant.organization_id)
    if asked.get("purpose"):
        rows = rows.filter(purpose=asked["purpose"][:40])
    order, limit = asked.get("order", "desc"), asked.get("limit", str(MOST_LISTED))
    if order not in ("asc", "desc"):
        raise InvalidRequest("The order is asc or desc.", param="order")
    if not limit.isdecimal() or not 1 <= int(limit) <= MOST_LISTED:
        raise InvalidRequest(f"The limit is from 1 to {MOST_LISTED}.", param="limit")
    if "after" in asked:
        last = file_of(grant, asked["after"]).pk
        rows = rows.filter(pk__lt=last) if order == "desc" else rows.filter(pk__gt=last)
    page = list(rows.order_by("-pk" if order == "desc" else "pk")[: int(limit) + 1])
    data = [shown(row) for row in page[: int(limit)]]
    ends = {"first_id": data[0]["id"], "last_id": data[-1]["id"]} if data else {"first_id": None, "last_id": None}
    return {"object": "list", "data": data, **ends, "has_more": len(page) > int(limit)}
