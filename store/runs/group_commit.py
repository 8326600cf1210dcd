"""Group commit: what arrives while a transaction is under way shares the next one."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Generic, TypeVar

import psycopg
from django.db import InterfaceError, OperationalError, connection

from store.errors import Unavailable

logger = logging.getLogger(__name__)

T = TypeVar("T")
R = TypeVar("R")

MAX_BATCH = 256  # items in a transaction
IDLE_S = 1.0  # after this long without work the connection is checked before it is used
RETRY_S = 1.0  # a client may try again after this long when the database is away
DEADLOCK_TRIES = 3


@dataclass(frozen=True, slots=True)
class _Waiting(Generic[T, R]):
    """An item and who waits for its result: a future of ``loop``, or one of a thread."""

    item: T
    loop: asyncio.AbstractEventLoop | None
    future: asyncio.Future[R] | Future[R]


class GroupCommit(Generic[T, R]):
    """One worker thread, with a database connection of its own, that hands batches to ``commit``.

    ``commit`` is one transaction that returns one result for each item, in order; a result that is an exception is raised to its
    submitter. No item waits for company: a batch is what came while the one before was under way. An item whose transaction was begun
    is carried through even if its submitter is cancelled meanwhile.
    """

    def __init__(
        self, commit: Callable[[Sequence[T]], Sequence[R | Exception]], *, name: str, max_batch: int = MAX_BATCH
    ) -> None:
        self._commit = commit
        self._name = name
        self._max_batch = max_batch
        self._queue: deque[_Waiting[T, R]] = deque()
        self._wake = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closed = False

    async def submit(self, item: T) -> R:
        """Raises what ``commit`` answers or raises for this item; Unavailable where the database is away."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[R] = loop.create_future()
        self._enqueue(_Waiting(item, loop, future))
        return await future

    def submit_from_thread(self, item: T) -> Future[R]:
        """The same for threads: the future's result."""
        future: Future[R] = Future()
        self._enqueue(_Waiting(item, None, future))
        return future

    def close(self, *, timeout_s: float = 30) -> None:
        """Carries through what was submitted, and ends the thread. Later items are refused with Unavailable."""
        with self._wake:
            self._closed = True
            self._wake.notify()
        if self._thread:
            self._thread.join(timeout_s)

    def _enqueue(self, waiting: _Waiting[T, R]) -> None:
        with self._wake:
            if self._closed:
                raise Unavailable("The store is shutting down.", retry_after_s=RETRY_S)
            if self._thread is None:  # not before the first item: a process may fork until then
                self._thread = threading.Thread(target=self._work, name=self._name, daemon=True)
                self._thread.start()
            self._queue.append(waiting)
            self._wake.notify()

    def _work(self) -> None:
        try:
            while batch := self._next_batch():
                results = self._results([waiting.item for waiting in batch])
                _deliver(zip(batch, results, strict=True))
        finally:
            connection.close()

    def _next_batch(self) -> list[_Waiting[T, R]]:
        """Empty when there is nothing more to come."""
        idle_since = time.monotonic()
        with self._wake:
            self._wake.wait_for(lambda: self._queue or self._closed)
            batch = [self._queue.popleft() for _ in range(min(len(self._queue), self._max_batch))]
        if time.monotonic() - idle_since > IDLE_S and connection.connection is not None and not connection.is_usable():
            connection.close()  # the server was restarted meanwhile; the next statement connects again
        return batch

    def _results(self, items: list[T]) -> Sequence[R | Exception]:
        """One result for each item. A batch that fails as a whole is done again one by one: a bad item fails alone."""
        try:
            return self._attempt(items)
        except (OperationalError, InterfaceError) as error:
            logger.warning("%s: the database is away: %s", self._name, error)
            connection.close()
            return [Unavailable(retry_after_s=RETRY_S) for _ in items]
        except Exception as error:
            if len(items) == 1:
                logger.exception("%s: an item failed", self._name)
                return [error]
            return [result for item in items for result in self._results([item])]

    def _attempt(self, items: list[T]) -> Sequence[R | Exception]:
        for _ in range(DEADLOCK_TRIES - 1):
            try:
                return self._commit(items)
            except OperationalError as error:  # the lock order rules deadlocks out; a stranger's lock may not know it
                if not isinstance(
                    error.__cause__, psycopg.errors.DeadlockDetected | psycopg.errors.SerializationFailure
                ):
                    raise
        return self._commit(items)


def _deliver(results: Iterable[tuple[_Waiting[T, R], R | Exception]]) -> None:
    """Each loop is woken once for all of its futures."""
    by_loop: defaultdict[asyncio.AbstractEventLoop | None, list[tuple[asyncio.Future[R] | Future[R], R | Exception]]]
    by_loop = defaultdict(list)
    for waiting, result in results:
        by_loop[waiting.loop].append((waiting.future, result))
    for loop, done in by_loop.items():
        if loop is None:
            _set(done)
        else:
            try:
                loop.call_soon_threadsafe(_set, done)
            except RuntimeError:  # closed: nobody waits any more
                logger.warning("%d results for a loop that is closed", len(done))


def _set(done: Sequence[tuple[asyncio.Future[R] | Future[R], R | Exception]]) -> None:
    for future, result in done:
        if future.cancelled():
            continue
        if isinstance(result, Exception):
            future.set_exception(result)
        else:
            future.set_result(result)
