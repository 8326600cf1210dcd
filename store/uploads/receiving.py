"""A request's body on its way to the disk: from the server's ``receive`` to a writer in a thread, with two batches in memory at most."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

from django.conf import settings
from django.db import close_old_connections

from store.uploads.errors import TooLarge, TooSlow, UploadGone
from store.uploads.part_file import Held

WRITERS = 4  # threads that write, for all uploads of this process
THREADS = 8  # that do the rest: what waits for the database, or reads a whole file again
BATCH_BYTES, BATCH_PIECES = 1024 * 1024, 256  # what is written at once: the first of them that is reached
TICK_S = 1.0  # how often a client that sends nothing is thought about
STALE_S = 2.0  # without a byte for so long, a connection gives way to another one that wants the upload

Receive = Callable[[], Awaitable[Mapping[str, Any]]]
P = ParamSpec("P")
T = TypeVar("T")

_writers = ThreadPoolExecutor(WRITERS, thread_name_prefix="upload-writer")
_others = ThreadPoolExecutor(THREADS, thread_name_prefix="upload")


class ClientGone(Exception):
    """The client went away before its request was complete."""


async def in_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Runs what waits for the disk or the database. Raises what it raises."""

    def fresh() -> T:
        close_old_connections()  # what a restarted server has dropped
        return function(*args, **kwargs)

    return await asyncio.get_running_loop().run_in_executor(_others, fresh)


async def pour(receive: Receive, write: Callable[[list[bytes]], None], *, right: Held, most: int) -> None:
    """Hands the body to ``write`` in batches: one is written while the next one is gathered. What came is written, however it ends.

    Raises ClientGone, TooSlow, TooLarge (after ``most`` bytes), UploadGone, and what ``write`` raises.
    """
    loop = asyncio.get_running_loop()
    batch: list[bytes] = []
    gathered = total = 0
    writing: asyncio.Future[None] | None = None
    try:
        more = True
        while more:
            message = await _next(receive, right)
            part = message.get("body", b"")
            total += len(part)
            if total > most:
                raise TooLarge(f"More bytes came than the {most} that belong here.")
            batch.append(part)
            gathered += len(part)
            more = message.get("more_body", False)
            if gathered >= BATCH_BYTES or len(batch) >= BATCH_PIECES:
                if writing:
                    await writing
                writing = loop.run_in_executor(_writers, write, batch)
                batch, gathered = [], 0
    finally:
        if writing:
            await writing
        if gathered:
            await loop.run_in_executor(_writers, write, batch)


async def _next(receive: Receive, right: Held) -> Mapping[str, Any]:
    idle_s = 0.0
    while True:
        try:
            async with asyncio.timeout(TICK_S):
                message = await receive()
        except TimeoutError:
            idle_s += TICK_S
            if not right.folder.exists():
                raise UploadGone from None
            if idle_s >= (STALE_S if right.is_wanted else settings.SLOW_CLIENT_S):
                raise TooSlow from None
            continue
        if message["type"] == "http.disconnect":
            raise ClientGone
        return message
