"""What the workers report of themselves, kept fresh in each process, and what follows: where a run is sent, how long to wait."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Sequence
from typing import cast

import redis.asyncio
from redis.exceptions import RedisError

from inference import wire

REFRESH_S = 0.5
PATIENCE_S = 3.0  # for one refresh
GRACE_S = 10.0  # reports may be missing this long, after a flush or a restart of Redis, before the fleet counts as gone
NO_WORKERS_RETRY_S = 15.0
LEAST_RETRY_S, MOST_RETRY_S = 1.0, 60.0

log = logging.getLogger(__name__)


class Fleet:
    """A snapshot of all replicas. Reading it asks nobody; :meth:`watch` keeps it fresh."""

    def __init__(self) -> None:
        self.replicas: tuple[wire.Replica, ...] = ()
        self._seen_at = -math.inf  # monotonic seconds, when there was a replica at all
        self._resident: frozenset[str] = frozenset()

    def update(self, replicas: Sequence[wire.Replica]) -> None:
        """Takes in what is reported now."""
        self.replicas = tuple(replicas)
        self._resident = frozenset(digest for replica in replicas for digest in replica.resident)
        if replicas:
            self._seen_at = time.monotonic()

    def route(self, digest: str) -> str:
        """The Celery queue for a release of full weights, with all its adapters: that of its replicas, or the one from which any
        worker with room takes.
        """
        return wire.serve_queue(digest) if digest in self._resident else wire.COLD_QUEUE

    def has_workers(self) -> bool:
        """Whether a run that is sent now can be expected to be served."""
        return time.monotonic() - self._seen_at < GRACE_S

    def retry_after_s(self) -> float:
        """A guess of when a refused call would be taken: the queue ahead, in rounds of all slots, at a few seconds a round."""
        if not self.replicas:
            return NO_WORKERS_RETRY_S
        slots = sum(replica.slots for replica in self.replicas)
        ahead = sum(replica.running + replica.waiting for replica in self.replicas)
        return min(MOST_RETRY_S, LEAST_RETRY_S + 5 * ahead / max(1, slots))

    async def refresh(self, client: redis.asyncio.Redis) -> None:
        """Asks Redis. While it is away, the last snapshot stays."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                self.update(await reported(client))
        except (RedisError, OSError) as error:
            log.warning("the fleet cannot be seen: %s", error or type(error).__name__)

    async def watch(self, client: redis.asyncio.Redis) -> None:
        """Refreshes the snapshot until cancelled."""
        while True:
            await self.refresh(client)
            await asyncio.sleep(REFRESH_S)


async def reported(client: redis.asyncio.Redis) -> list[wire.Replica]:
    """The replicas that have reported lately. Raises RedisError."""
    workers = [name.decode() for name in cast("set[bytes]", await client.smembers(wire.REPLICAS))]
    if not workers:
        return []
    replicas, gone = [], []
    for worker, report in zip(workers, await client.mget([wire.REPLICA_PREFIX + w for w in workers]), strict=True):
        try:
            replicas.append(wire.Replica.decode(report)) if report else gone.append(worker)
        except wire.WireError as error:
            log.warning("worker %s: %s", worker, error)
    if gone:
        await client.srem(wire.REPLICAS, *gone)
    return replicas
