"""The part of the Hugging Face Hub's protocol with which ``snapshot_download`` and ``from_pretrained`` fetch a release.

What a client asks for, in order: the commit of a revision, the tree of that commit, each file (HEAD, then GET with Range to resume).
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

from asgiref.sync import sync_to_async
from django.core.files.storage import FileSystemStorage, default_storage
from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    HttpResponseRedirect,
    JsonResponse,
    StreamingHttpResponse,
)
from django.utils.http import content_disposition_header
from django.views.decorators.http import require_safe

from store.catalog.models import Release
from store.errors import NotFound, StoreError
from store.hub.ranges import RangeNotSatisfiable, read_range
from store.hub.reads import HubFile, TokenRequired, commit_of, file_of, files_of, open_release, storage_name

CHUNK_BYTES = 1024 * 1024
BINARY = "application/octet-stream"
AsyncView = Callable[..., Coroutine[Any, Any, HttpResponseBase]]


class EntryMissing(NotFound):
    """The release is there, the file is not."""

    code = "entry_not_found"


def hub_view(view: AsyncView) -> AsyncView:
    """Renders errors as the Hub's clients read them: a code and a sentence in headers, for a HEAD has no body."""

    @require_safe
    @functools.wraps(view)
    async def rendered(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        try:
            response = await view(request, *args, **kwargs)
        except StoreError as error:
            response = JsonResponse({"error": error.message, "code": error.code}, status=error.status)
            response["X-Error-Message"] = error.message
            if isinstance(error, TokenRequired | NotFound):
                # An entry that is missing from a release that was opened says so itself.
                response["X-Error-Code"] = "EntryNotFound" if isinstance(error, EntryMissing) else "RepoNotFound"
        response["Cache-Control"] = "private, no-store"
        return response

    return rendered


@hub_view
async def model_info(request: HttpRequest, repo: str, revision: str = "main") -> HttpResponse:
    release, files = await _open_with_files(request, repo, revision)
    made_at = release.created_at.strftime("%Y-%m-%dT%H:%M:%S.000Z")
    info = {
        "id": repo,
        "modelId": repo,
        "author": repo.partition("/")[0],
        "sha": commit_of(release),
        "private": release.listing.is_private,
    }
    info |= {
        "createdAt": made_at,
        "lastModified": made_at,
        "disabled": False,
        "gated": False,
        "downloads": 0,
        "likes": 0,
    }
    info |= {"library_name": "transformers", "pipeline_tag": "text-generation", "tags": release.listing.tags}
    siblings = [{"rfilename": f.path, "size": f.size, "blobId": f.sha256, "lfs": _lfs(f)} for f in files]
    return JsonResponse(info | {"siblings": siblings})


@hub_view
async def tree(request: HttpRequest, repo: str, revision: str) -> HttpResponse:
    _release, files = await _open_with_files(request, repo, revision)
    entries = [{"type": "file", "path": f.path, "size": f.size, "oid": f.sha256, "lfs": _lfs(f)} for f in files]
    return JsonResponse(entries, safe=False)


@hub_view
async def resolve(request: HttpRequest, repo: str, revision: str, path: str) -> HttpResponseBase:
    release, file = await _open_with_file(request, repo, revision, path)
    etag = f'"{file.sha256}"'
    headers = {"ETag": etag, "X-Repo-Commit": commit_of(release), "Accept-Ranges": "bytes"}
    headers |= {"X-Linked-Etag": etag, "X-Linked-Size": str(file.size)}
    if not isinstance(default_storage, FileSystemStorage):
        return HttpResponseRedirect(await asyncio.to_thread(default_storage.url, storage_name(file)), headers=headers)
    try:
        begin, end = _asked_range(request, file, etag) or (0, file.size)
    except RangeNotSatisfiable:
        return HttpResponse(status=416, headers=headers | {"Content-Range": f"bytes */{file.size}"})
    headers |= {
        "Content-Length": str(end - begin),
        "Content-Disposition": content_disposition_header(True, file.path) or "",
    }
    is_part = end - begin < file.size
    if is_part:
        headers["Content-Range"] = f"bytes {begin}-{end - 1}/{file.size}"
    status = 206 if is_part else 200
    if request.method == "HEAD":
        return HttpResponse(status=status, headers=headers, content_type=BINARY)
    body = _stream(default_storage.path(storage_name(file)), begin, end)
    return StreamingHttpResponse(body, status=status, headers=headers, content_type=BINARY)


def _asked_range(request: HttpRequest, file: HubFile, etag: str) -> tuple[int, int] | None:
    if request.headers.get("If-Range", etag) != etag:
        return None
    return read_range(request.headers.get("Range", ""), file.size)


def _lfs(file: HubFile) -> dict[str, object]:
    """Large-file information for small files too: by it clients check the SHA-256 of what they got."""
    return {"oid": file.sha256, "sha256": file.sha256, "size": file.size, "pointerSize": 134}


@sync_to_async
def _open_with_files(request: HttpRequest, repo: str, revision: str) -> tuple[Release, list[HubFile]]:
    release = open_release(request, repo, revision)
    return release, files_of(release)


@sync_to_async
def _open_with_file(request: HttpRequest, repo: str, revision: str, path: str) -> tuple[Release, HubFile]:
    release = open_release(request, repo, revision)
    try:
        return release, file_of(release, path)
    except NotFound as error:
        raise EntryMissing(error.message) from None


async def _stream(path: str, begin: int, end: int) -> AsyncIterator[bytes]:
    """A chunk at a time, read in a thread: however large the file and slow the reader, one chunk is in memory."""
    with await asyncio.to_thread(open, path, "rb") as file:
        await asyncio.to_thread(file.seek, begin)
        while begin < end and (chunk := await asyncio.to_thread(file.read, min(CHUNK_BYTES, end - begin))):
            begin += len(chunk)
            yield chunk
