"""The files themselves."""

from __future__ import annotations

import asyncio

from asgiref.sync import sync_to_async
from django.core.files.storage import FileSystemStorage, default_storage
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect, StreamingHttpResponse
from django.utils.http import content_disposition_header

from inference.manifest import FileEntry
from store.catalog.actions.repositories import OID
from store.catalog.models import Commit
from store.hub.models import count_download
from store.hub.ranges import RangeNotSatisfiable, read_range
from store.hub.reads import open_repository, storage_name
from store.hub.rendering import async_hub_view
from store.hub.streaming import stream

BINARY = "application/octet-stream"
COUNTED = (
    "config.json",
    "adapter_config.json",
)  # every loader begins with one of them: it is one download, as the Hub counts


@async_hub_view("GET", "HEAD")
async def resolve(request: HttpRequest, repo: str, revision: str, path: str) -> HttpResponseBase:
    commit, file = await _opened(request, repo, revision, path)
    etag = f'"{file.sha256}"'
    # 40 digits are a commit to clients, who file what they get under them: also where they are those of a release's digest.
    name = revision if OID.fullmatch(revision) else commit.oid
    headers = {"ETag": etag, "X-Repo-Commit": name, "Accept-Ranges": "bytes"}
    headers |= {"X-Linked-Etag": etag, "X-Linked-Size": str(file.size)}
    if request.headers.get("If-None-Match") == etag:
        return HttpResponse(status=304, headers=headers)
    if not isinstance(default_storage, FileSystemStorage):
        return HttpResponseRedirect(await asyncio.to_thread(default_storage.url, storage_name(file)), headers=headers)
    try:
        begin, end = _asked_range(request, file, etag) or (0, file.size)
    except RangeNotSatisfiable:
        return HttpResponse(status=416, headers=headers | {"Content-Range": f"bytes */{file.size}"})
    headers |= _part_headers(file, begin, end)
    status = 206 if "Content-Range" in headers else 200
    if request.method == "HEAD":
        return HttpResponse(status=status, headers=headers, content_type=BINARY)
    body = stream(default_storage.path(storage_name(file)), begin, end)
    return StreamingHttpResponse(body, status=status, headers=headers, content_type=BINARY)


def _part_headers(file: FileEntry, begin: int, end: int) -> dict[str, str]:
    name = file.path.rpartition("/")[2]
    headers = {"Content-Length": str(end - begin), "Content-Disposition": content_disposition_header(True, name) or ""}
    return headers | ({"Content-Range": f"bytes {begin}-{end - 1}/{file.size}"} if end - begin < file.size else {})


def _asked_range(request: HttpRequest, file: FileEntry, etag: str) -> tuple[int, int] | None:
    if request.headers.get("If-Range", etag) != etag:
        return None
    return read_range(request.headers.get("Range", ""), file.size)


@sync_to_async
def _opened(request: HttpRequest, repo: str, revision: str, path: str) -> tuple[Commit, FileEntry]:
    repository = open_repository(request, repo)
    commit = repository.commit(revision)
    file = repository.file(commit, path)
    if request.method == "GET" and path in COUNTED and not repository.sees_all:
        count_download(repository.listing)
    return commit, file
