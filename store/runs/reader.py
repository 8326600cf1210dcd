"""Reads the reply stream of this process, and hands each chunk on."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any

import redis.asyncio
from redis.exceptions import RedisError

from inference import wire

BLOCK_MS = 500
PATIENCE_S = 3.0  # for one read: then the connection is dead
RETRY_MIN_S, RETRY_MAX_S = 0.05, 1.0
TRIM_INTERVAL_S = 2.0
STREAM_TTL_S = 24 * 3600  # a stream outlives its gateway for the reaper, not for ever
BEGINNING = b"0-0"

log = logging.getLogger(__name__)


class Reader:
    """Follows one stream. ``on_chunk`` is called for every chunk in order, on the event loop."""

    def __init__(self, client: redis.asyncio.Redis, stream: str, on_chunk: Callable[[wire.Chunk], None]) -> None:
        self._redis = client
        self._stream = stream
        self._on_chunk = on_chunk
        self.position = BEGINNING  # id of the last entry that was read
        self.heard_until = time.monotonic()  # everything that Redis had by then has been handed on

    async def run(self) -> None:
        """Reads until cancelled, through whatever happens to Redis."""
        delay_s = RETRY_MIN_S
        while True:
            try:
                await self._follow()
            except (RedisError, OSError) as error:
                log.warning("reply stream: %s", error or type(error).__name__)
                await asyncio.sleep(delay_s)
                delay_s = min(delay_s * 2, RETRY_MAX_S)
            else:
                delay_s = RETRY_MIN_S

    async def _follow(self) -> None:
        """One read, and what follows from it. Raises RedisError and OSError."""
        asked_at = time.monotonic()
        async with asyncio.timeout(PATIENCE_S):
            reply: Any = await self._redis.xread({self._stream: self.position}, block=BLOCK_MS)
        entries = reply[0][1] if reply else []
        for entry_id, fields in entries:
            self.position = entry_id
            self._hand_on(fields)
        if not entries:
            await self._notice_loss()
        self.heard_until = asked_at

    def _hand_on(self, fields: dict[bytes, bytes]) -> None:
        try:
            chunks = wire.decode_chunks(fields[b"m"])
        except (wire.WireError, KeyError) as error:
            log.error("an entry of the reply stream was dropped: %s", error)
            return
        for chunk in chunks:
            self._on_chunk(chunk)

    async def _notice_loss(self) -> None:
        """Starts again where the stream was lost and its clock begins lower than our position."""
        async with asyncio.timeout(PATIENCE_S):
            newest: Any = await self._redis.xrevrange(self._stream, count=1)
        if newest and _parse(newest[0][0]) < _parse(self.position):
            self.position = BEGINNING

    async def trim(self, oldest: bytes) -> None:
        """Drops what is older than ``oldest``, an entry id: nobody needs it. Raises RedisError and OSError."""
        pipeline = self._redis.pipeline(transaction=False)
        pipeline.xtrim(self._stream, minid=oldest, approximate=True)
        pipeline.expire(self._stream, STREAM_TTL_S)
        async with asyncio.timeout(PATIENCE_S):
            await pipeline.execute()


def _parse(entry_id: bytes) -> tuple[int, int]:
    milliseconds, _dash, number = entry_id.partition(b"-")
    return int(milliseconds), int(number)
