"""A file is sent while it is made: by a thread of its own, for the database's client blocks, and one chunk ahead at most."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

from django.db import connection


async def streamed(make: Callable[[], Iterator[bytes]]) -> AsyncIterator[bytes]:
    """The chunks of ``make()``, each as it is asked for. A client that goes away ends the thread, and with it its transaction."""
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(1, thread_name_prefix="statement") as thread:
        chunks = await loop.run_in_executor(thread, make)
        try:
            while chunk := await loop.run_in_executor(thread, next, chunks, b""):
                yield chunk
        finally:
            await asyncio.shield(loop.run_in_executor(thread, _end, chunks))


def _end(chunks: Iterator[bytes]) -> None:
    """In the thread: a connection belongs to the one that opened it."""
    close = getattr(chunks, "close", None)
    if close:
        close()
    connection.close()
