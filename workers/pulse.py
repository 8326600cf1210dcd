"""What a worker says of itself every second, and the requests to stop that it hears.

A thread says it that shares nothing with the engines but their state: it tells the store which attempts are in hand, and ends those
whose engine has died under them. A process that is stopped or killed falls silent, which says enough.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Final, Protocol

import redis

from inference import wire

logger = logging.getLogger(__name__)

RESUBSCRIBE_S: Final = 0.2


class Worker(Protocol):
    """What the threads here need of :class:`workers.serve.Server`."""

    def tick(self) -> None:
        """Says which attempts are in hand; ends those that nobody listens to, and those whose engine has died."""

    def report(self) -> wire.Replica | None:
        """The worker as it is now; None once it stops."""

    def abort(self, abort: wire.Abort) -> None: ...


class Pulse:
    """Two threads: one beats every KEEPALIVE_INTERVAL_S, one listens to ABORT_CHANNEL."""

    def __init__(self, client: redis.Redis, worker: Worker, *, name: str) -> None:
        self._redis = client
        self._worker = worker
        self._name = name
        self._stopped = threading.Event()
        self._reported = True  # whether the last report reached Redis: a failure is logged once
        self._threads = [
            threading.Thread(target=self._beat, name="pulse", daemon=True),
            threading.Thread(target=self._listen, name="aborts", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Stops both threads, and removes the report: nothing more is sent here."""
        self._stopped.set()
        for thread in self._threads:
            thread.join(timeout=2 * wire.KEEPALIVE_INTERVAL_S)
        self.withdraw()

    def withdraw(self) -> None:
        """Removes the report of this worker."""
        try:
            pipeline = self._redis.pipeline(transaction=False)
            pipeline.delete(wire.REPLICA_PREFIX + self._name)
            pipeline.srem(wire.REPLICAS, self._name)
            pipeline.execute()
        except redis.RedisError as error:
            logger.warning("the report of this worker stays until it expires: %s", error)

    def _beat(self) -> None:
        while not self._stopped.is_set():
            began = time.monotonic()
            self._attempt(self._worker.tick)
            self._attempt(self._report)
            self._stopped.wait(max(0.0, began + wire.KEEPALIVE_INTERVAL_S - time.monotonic()))

    def _attempt(self, part: Callable[[], None]) -> None:
        try:
            part()
        except redis.RedisError as error:
            if self._reported:
                logger.warning("Redis does not answer: %s", error)
            self._reported = False
        except Exception:
            logger.exception("a part of the heartbeat has failed")  # the next beat comes all the same

    def _report(self) -> None:
        replica = self._worker.report()
        if replica is None:
            self.withdraw()
            return
        pipeline = self._redis.pipeline(transaction=False)
        pipeline.set(wire.REPLICA_PREFIX + self._name, replica.encode(), ex=wire.REPLICA_TTL_S)
        pipeline.sadd(wire.REPLICAS, self._name)
        pipeline.execute()
        self._reported = True

    def _listen(self) -> None:
        while not self._stopped.is_set():
            try:
                with self._redis.pubsub(ignore_subscribe_messages=True) as channel:  # type: ignore[no-untyped-call]
                    channel.subscribe(wire.ABORT_CHANNEL)
                    while not self._stopped.is_set():
                        message = channel.get_message(timeout=1.0)
                        if message:
                            self._hear(message["data"])
            except redis.RedisError:
                self._stopped.wait(RESUBSCRIBE_S)

    def _hear(self, data: bytes) -> None:
        try:
            self._worker.abort(wire.Abort.decode(data.decode()))
        except (wire.WireError, UnicodeDecodeError) as error:
            logger.warning("an abort that cannot be read: %s", error)
