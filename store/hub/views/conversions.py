"""What a worker that converts a pickle fetches. The bytes are only passed on: nothing here opens them."""

from __future__ import annotations

from pathlib import Path

from asgiref.sync import sync_to_async
from django.http import HttpRequest, HttpResponseBase, StreamingHttpResponse

from store.accounts.models import TokenScope
from store.hub.callers import caller_of
from store.hub.rendering import async_hub_view
from store.hub.streaming import stream
from store.uploads.conversions import source_of

BINARY = "application/octet-stream"


@async_hub_view("GET")
async def source(request: HttpRequest, pk: str) -> HttpResponseBase:
    path, size = await _opened(request, int(pk))
    body = stream(str(path), 0, size)
    return StreamingHttpResponse(body, headers={"Content-Length": str(size)}, content_type=BINARY)


@sync_to_async
def _opened(request: HttpRequest, conversion_id: int) -> tuple[Path, int]:
    path = source_of(conversion_id, caller_of(request).require(TokenScope.WRITE))
    return path, path.stat().st_size
