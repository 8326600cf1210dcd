"""A file's bytes on their way to a client."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator

CHUNK_BYTES = 1024 * 1024


async def stream(source: str | int, begin: int, end: int) -> AsyncIterator[bytes]:
    """The bytes of a path, or of a descriptor, which stays its owner's: a chunk at a time, read in a thread while the one before is sent.

    However large the file and slow the reader, two chunks are in memory.
    """
    file = os.dup(source) if isinstance(source, int) else await asyncio.to_thread(os.open, source, os.O_RDONLY)
    reading = None
    try:
        while begin < end:
            reading = reading or asyncio.ensure_future(_read(file, begin, end))
            chunk, reading = await reading, None
            if not chunk:
                return
            begin += len(chunk)
            if begin < end:
                reading = asyncio.ensure_future(_read(file, begin, end))
            yield chunk
    finally:
        if reading:
            await asyncio.wait([reading])  # or the thread would read what is no longer that file
        os.close(file)


async def _read(file: int, begin: int, end: int) -> bytes:
    return await asyncio.to_thread(os.pread, file, min(CHUNK_BYTES, end - begin), begin)
