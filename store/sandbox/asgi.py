"""The sandbox over HTTP: the API under ``/v1``, faults under ``/_faults``, pages elsewhere. Needs none of Django's middleware."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from django.db import close_old_connections

from store.sandbox import faults
from store.sandbox.answers import Page
from store.sandbox.errors import ApiError
from store.sandbox.pages import show
from store.sandbox.params import decode
from store.sandbox.resources.payouts import settle_due
from store.sandbox.serve import Answer, Request, serve
from store.sandbox.webhooks import deliver_due

THREADS = 8
MAX_BODY_BYTES = 1024 * 1024
IDLE_S = 0.25  # between two looks for events to deliver
SAFE = [
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; style-src 'self'; img-src data:; frame-ancestors 'none'"),
]

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]

_threads = ThreadPoolExecutor(THREADS, thread_name_prefix="sandbox")


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        await _live(receive, send)
        return
    body = b""
    while (message := await receive())["type"] == "http.request":
        body += message.get("body", b"")
        if not message.get("more_body") or len(body) > MAX_BODY_BYTES:
            break
    answer = await asyncio.get_running_loop().run_in_executor(_threads, _work, scope, body.decode(errors="replace"))
    if isinstance(answer, Answer):
        await asyncio.sleep(answer.delay_s)
        if answer.body is None:
            raise ConnectionError("a fault that was asked for: no answer")
        page = Page(status=answer.status, body=json.dumps(answer.body), content_type="application/json")
    else:
        page = answer
    headers = [(b"content-type", page.content_type.encode()), *SAFE]
    headers += [(name.encode(), value.encode()) for name, value in page.headers.items()]
    await send({"type": "http.response.start", "status": page.status, "headers": headers})
    await send({"type": "http.response.body", "body": page.body.encode()})


def _work(scope: Scope, body: str) -> Answer | Page:
    """In a thread, for the database's client blocks."""
    close_old_connections()
    try:
        method, path = scope["method"], scope["path"]
        if path == "/_faults" and method == "POST":
            return _arm(body)
        if not path.startswith("/v1/"):
            return show(method, path, body)
        headers = {name.decode().lower(): value.decode() for name, value in scope["headers"]}
        return serve(Request(method=method, url=f"{path}?{scope['query_string'].decode()}", headers=headers, body=body))
    finally:
        close_old_connections()


def _arm(body: str) -> Answer:
    try:
        return Answer(body=faults.add(decode(body)))
    except ApiError as error:
        return Answer(status=error.status, body=error.body)


def deliver_until(stopped: threading.Event) -> None:
    """Lets payouts arrive, and delivers events as they come about."""
    while not stopped.is_set():
        close_old_connections()
        if not settle_due() + deliver_due():
            stopped.wait(IDLE_S)


async def _live(receive: Receive, send: Send) -> None:
    stopped = threading.Event()
    courier = threading.Thread(target=deliver_until, args=(stopped,), name="webhooks", daemon=True)
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            courier.start()
            await send({"type": "lifespan.startup.complete"})
        elif message["type"] == "lifespan.shutdown":
            stopped.set()
            await send({"type": "lifespan.shutdown.complete"})
            return
