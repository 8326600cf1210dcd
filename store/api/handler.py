"""Django's ASGI handler with a short way to ``/v1`` and to the links of uploads.

A request to ``/v1`` has no session, cookie, language or form, so it goes straight to its async view: no middleware, and none of the
hops to threads that Django's signals and sync middleware cost. So do the bytes of an upload (store.uploads.asgi), which go to the disk
as they come. Everything else is Django as it is.
"""

from __future__ import annotations

import asyncio
import io
import logging
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.core.handlers.asgi import ASGIHandler, ASGIRequest
from django.http.response import HttpResponseBase
from django.urls import get_resolver

from store.api.v1.arriving import DISCARDED_BYTES, is_streamed
from store.api.v1.endpoint import error_response, new_request_id
from store.errors import StoreError
from store.runs import gateway
from store.uploads import asgi as uploads
from store.uploads.receiving import ClientGone

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]

DRAINED = 8  # times MAX_BODY_BYTES: what is read of a body that is too large

log = logging.getLogger(__name__)


class BodyTooLarge(StoreError):
    """More than MAX_BODY_BYTES."""

    code = "request_too_large"
    status = 413
    default_message = "The request is too large."


class Handler(ASGIHandler):
    """The ASGI application: the lifespan of the gateway, ``/v1``, uploads, and Django."""

    # Bytes of an answer that the server gets at a time: by Django's 64 KB a download is half as fast.
    chunk_size = 1024 * 1024

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _live(receive, send)
        elif scope["type"] == "http" and scope["path"].startswith("/v1/"):
            await self.answer(scope, receive, _patient(send))
        elif scope["type"] == "http" and uploads.is_ours(scope):
            await uploads.answer(scope, receive, _patient(send))
        else:
            await super().__call__(scope, receive, _patient(send))

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A request to ``/v1``."""
        if is_streamed(scope):
            await self.take_in(scope, receive, send)
            return
        try:
            body = await _read_body(scope, receive)
            request = ASGIRequest(scope, io.BytesIO(body))
        except ClientGone:
            return
        except BodyTooLarge as error:
            refusal = error_response(error)
            refusal["x-request-id"] = new_request_id()
            await self.send_response(refusal, send)
            return
        view, args, kwargs = get_resolver("store.api.v1.urls").resolve(scope["path"])
        # The client going away is the end of the task: the view's run is abandoned on its way out.
        task = asyncio.current_task()
        assert task
        gone = asyncio.ensure_future(receive())
        gone.add_done_callback(lambda done: done.cancelled() or task.cancel())
        try:
            response: HttpResponseBase = await view(request, *args, **kwargs)
            await self.send_response(response, send)
        except (asyncio.CancelledError, TimeoutError):
            log.debug("client of %s went away", scope["path"])
        finally:
            gone.cancel()

    async def take_in(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A request to ``/v1`` whose view reads the body itself. What it has not read of a large one ends with the connection."""
        request = ASGIRequest(scope, io.BytesIO())
        request.receive = receive  # type: ignore[attr-defined]
        view, args, kwargs = get_resolver("store.api.v1.urls").resolve(scope["path"])
        try:
            response: HttpResponseBase = await view(request, *args, **kwargs)
            length = request.headers.get("Content-Length", "")
            if response.status_code >= HTTPStatus.BAD_REQUEST and not (
                length.isdecimal() and int(length) <= DISCARDED_BYTES
            ):
                response["Connection"] = "close"
            await self.send_response(response, send)
        except (ClientGone, TimeoutError):
            log.debug("client of %s went away", scope["path"])


async def _read_body(scope: Scope, receive: Receive) -> bytes:
    """Raises ClientGone, and BodyTooLarge: after the rest was read and thrown away, for many clients read no answer before."""
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        part = message.get("body", b"")
        size += len(part)
        if size <= settings.MAX_BODY_BYTES:
            parts.append(part)
        if not message.get("more_body") or size > DRAINED * settings.MAX_BODY_BYTES:
            break
    if size > settings.MAX_BODY_BYTES:
        raise BodyTooLarge(f"The request is too large: {settings.MAX_BODY_BYTES} bytes at most.")
    return b"".join(parts)


def _patient(send: Send) -> Send:
    """Gives up on a client that takes nothing for SLOW_CLIENT_S. The server's ``send`` waits while its buffer is full."""

    async def bounded(message: Mapping[str, Any]) -> None:
        async with asyncio.timeout(settings.SLOW_CLIENT_S):
            await send(message)

    return bounded


async def _live(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            try:
                await gateway.start()
            except Exception as error:
                log.exception("the gateway cannot start")
                await send({"type": "lifespan.startup.failed", "message": str(error)})
                return
            await send({"type": "lifespan.startup.complete"})
        elif message["type"] == "lifespan.shutdown":
            await gateway.stop()
            await send({"type": "lifespan.shutdown.complete"})
            return
