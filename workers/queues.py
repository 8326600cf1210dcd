"""Which Celery queues this worker consumes: changed from any thread, applied on the thread of Celery's event loop."""

from __future__ import annotations

import logging
import threading
from typing import Any, Final

logger = logging.getLogger(__name__)

APPLY_TIMEOUT_S: Final = 2.0  # Celery may be busy with a broker that is away: then there is nothing to consume either


class Queues:
    """The queues that are wanted. A consumer that reconnects finds them as they are."""

    def __init__(self) -> None:
        self._wanted: frozenset[str] = frozenset()
        self._lock = threading.Lock()
        self._consumer: Any = None  # celery.worker.consumer.Consumer, once it runs

    def attach(self, consumer: Any) -> None:
        """Takes the consumer in hand. On its own thread, each time it has connected."""
        self._consumer = consumer
        self._apply(threading.Event())

    def want(self, name: str) -> None:
        """Consumes a queue from the next turn of the event loop on."""
        with self._lock:
            if name in self._wanted:
                return
            self._wanted |= {name}
        self._apply_soon()

    def leave(self, name: str, *, wait: bool = True) -> None:
        """Stops consuming a queue; with ``wait``, returns once that is done."""
        with self._lock:
            if name not in self._wanted:
                return
            self._wanted -= {name}
        applied = self._apply_soon()
        if wait and not applied.wait(APPLY_TIMEOUT_S):
            logger.warning("queue %s is left once the broker answers", name)

    def _apply_soon(self) -> threading.Event:
        applied = threading.Event()
        if self._consumer is None:
            applied.set()
        else:
            self._consumer.call_soon(self._apply, applied)
        return applied

    def _apply(self, applied: threading.Event) -> None:
        consumer, wanted = self._consumer, self._wanted
        if consumer.task_consumer is not None:  # else it is reconnecting, and attaches again
            consumed = set(consumer.app.amqp.queues.consume_from)
            for name in sorted(wanted - consumed):
                consumer.add_task_queue(name)
            for name in sorted(consumed - wanted):
                consumer.cancel_task_queue(name)
        applied.set()
