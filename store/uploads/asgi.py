"""Requests to an upload's link, straight from the ASGI server. A link is a capability, so there is no session, no cookie and no
middleware here, and a body never goes through Django's: it would be spooled to the disk once more.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from store.errors import NotFound, StoreError
from store.uploads import puts, tus
from store.uploads.errors import TooSlow, UploadLocked, WrongOffset
from store.uploads.links import PREFIX, is_link, read_link
from store.uploads.receiving import ClientGone, Receive
from store.uploads.request import Answer, Request, Scope

METHODS = "OPTIONS, HEAD, PATCH, PUT, DELETE"
DISCARDED_BYTES = 64 * 1024**2  # a refused body may go on for so long; a larger one ends with its connection

Send = Callable[[Mapping[str, Any]], Awaitable[None]]

log = logging.getLogger(__name__)


def is_ours(scope: Scope) -> bool:
    """Whether ``answer`` is for this request."""
    path = scope["path"]
    return is_link(path) or (scope["method"] == "OPTIONS" and path == PREFIX.rstrip("/"))


async def answer(scope: Scope, receive: Receive, send: Send) -> None:
    """A client that went away is not answered; what it has sent is kept."""
    request = Request(scope)
    try:
        made = await _dispatch(request, receive)
    except ClientGone:
        return
    except StoreError as error:
        made = _refusal(request, error)
    except Exception:
        log.exception("%s of an upload failed", request.method)
        made = Answer(500, {"Connection": "close"})
    headers = {"Tus-Resumable": tus.VERSION, "Cache-Control": "no-store", **made.headers}
    if made.status != 204:
        headers["Content-Length"] = str(len(made.body))
    encoded = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": made.status, "headers": encoded})
    await send({"type": "http.response.body", "body": made.body})


async def _dispatch(request: Request, receive: Receive) -> Answer:
    if request.method == "OPTIONS":
        return tus.capabilities()
    link = read_link(request.path)
    if link is None:
        raise NotFound("There is no such upload.")
    if link.part and request.method == "PUT":
        return await puts.put_part(request, link, link.part, receive)
    match request.method:
        case "HEAD":
            return await tus.head(request, link)
        case "PATCH":
            return await tus.patch(request, link, receive)
        case "DELETE":
            return await tus.delete(request, link)
        case "PUT":
            return await puts.put_whole(request, link, receive)
    return Answer(405, {"Allow": METHODS})


def _refusal(request: Request, error: StoreError) -> Answer:
    """The store's own shape of an error, and the headers that tus wants beside it."""
    headers = {"Content-Type": "application/json"}
    match error:
        case WrongOffset():
            headers["Upload-Offset"] = str(error.offset)
        case UploadLocked():
            headers["Retry-After"] = "1"
    if isinstance(error, TooSlow) or request.is_longer_than(DISCARDED_BYTES):
        headers["Connection"] = "close"
    said = {"code": error.code, "message": error.message, "param": error.param}
    return Answer(error.status, headers, json.dumps({"error": said}).encode())
