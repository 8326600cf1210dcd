"""The only place that talks to Celery's sending side.

Ordinary tasks are sent after commit, by name. Their row is the outbox: every such task takes the id of a row whose state says that
work is due, and the beat schedule sends again what is still due (``workers.money``, ``workers.reap``), so a lost message delays and
never loses. A run's first message is sent by its gateway the moment its transaction has committed, and sent again when nobody
starts it (``runs.watch``).
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from typing import Any, NamedTuple

import msgspec
from celery import Celery
from django.conf import settings
from django.db import transaction
from kombu import Producer
from kombu.exceptions import KombuError

from inference import wire

CPU_QUEUE = "cpu"
BATCH_LIMIT = 64  # messages of one round trip to the broker
RETRY_MIN_S, RETRY_MAX_S = 0.05, 1.0

log = logging.getLogger(__name__)

sender = Celery("store", broker=settings.BROKER_URL, set_as_current=False)
sender.conf.update(
    task_serializer="json",
    task_ignore_result=True,
    broker_transport_options={"socket_timeout": 5, "socket_connect_timeout": 2},
    task_publish_retry=False,
)


def send_after_commit(task: str, *args: Any) -> None:
    """Sends a CPU task when the current transaction has committed; at once outside of one. Where the broker is away, the clock does it."""
    transaction.on_commit(lambda: sender.send_task(task, args=args, queue=CPU_QUEUE), robust=True)


def send_evaluation(spec: wire.EvaluateSpec) -> None:
    """Asks the GPU workers to measure a release. At once: its row says when it is sent again. Raises what the broker raises."""
    sender.send_task(wire.EVALUATE_TASK, args=(spec.as_json(),), queue=wire.EVALUATE_QUEUE, argsrepr="", kwargsrepr="")


def send_conversion(spec: wire.ConvertSpec) -> None:
    """Asks the GPU workers to convert a pickle, as ``send_evaluation`` asks. The message holds a token: nothing of it is in a header."""
    sender.send_task(wire.CONVERT_TASK, args=(spec.as_json(),), queue=wire.CONVERT_QUEUE, argsrepr="", kwargsrepr="")


def send_training(spec: wire.TuneSpec) -> None:
    """Asks the GPU workers to train, as ``send_evaluation`` asks. The message holds tokens: nothing of it is in a header."""
    sender.send_task(wire.TUNE_TASK, args=(spec.as_json(),), queue=wire.TUNE_QUEUE, argsrepr="", kwargsrepr="")


class Attempt(NamedTuple):
    """One attempt of a run on its way to a queue."""

    spec: wire.CompletionSpec
    queue: str


class RunSender:
    """Sends attempts from a thread of its own, for the broker's client blocks. What waits together goes in one round trip.

    While the broker is away the messages wait and are sent again: a second delivery of an attempt is dropped by the worker's claim.
    """

    def __init__(self) -> None:
        self._waiting: queue.SimpleQueue[Attempt | None] = queue.SimpleQueue()
        self._closing = threading.Event()
        self._broker_errors: tuple[type[BaseException], ...] = (
            KombuError,
            OSError,
            *sender.connection_for_write().recoverable_connection_errors,
        )
        self._thread = threading.Thread(target=self._work, name="run-sender", daemon=True)
        self._thread.start()

    def send(self, spec: wire.CompletionSpec, *, queue: str) -> None:
        """Returns at once."""
        self._waiting.put(Attempt(spec, queue))

    def close(self) -> None:
        """Sends what waits, if the broker answers, and ends the thread."""
        self._closing.set()
        self._waiting.put(None)
        self._thread.join()

    def _work(self) -> None:
        delay_s = RETRY_MIN_S
        batch: list[Attempt] = []
        while True:
            try:
                with sender.connection_for_write() as connection, connection.Producer(auto_declare=False) as producer:
                    while batch or (batch := self._next_batch()):
                        _publish(producer, batch)
                        batch, delay_s = [], RETRY_MIN_S
                return
            except self._broker_errors as error:
                if self._closing.is_set():
                    return
                log.warning("%d attempts wait for the broker: %s", len(batch), error)
                time.sleep(delay_s)
                delay_s = min(delay_s * 2, RETRY_MAX_S)

    def _next_batch(self) -> list[Attempt]:
        """Waits for attempts. Empty: there will be no more."""
        batch: list[Attempt] = []
        while len(batch) < BATCH_LIMIT and not (batch and self._waiting.empty()):
            attempt = self._waiting.get()
            if attempt is None:
                self._waiting.put(None)  # the next call sees it too
                break
            batch.append(attempt)
        return batch


def _publish(producer: Producer, batch: list[Attempt]) -> None:
    with producer.batch():  # type: ignore[attr-defined]  # the stubs are older than kombu 5.7
        for spec, queue_name in batch:
            # Without argsrepr, Celery would put the prompt's tokens into a header that is logged.
            message = sender.amqp.as_task_v2(
                f"{spec.run_id}.{spec.epoch}", wire.SERVE_TASK, argsrepr="", kwargsrepr="", ignore_result=True
            )
            _no_args, kwargs, embed = message.body
            producer.publish(
                msgspec.json.encode(((spec,), kwargs, embed)).decode(),  # many times faster than Celery's own JSON
                content_type="application/json",
                content_encoding="utf-8",
                exchange="",
                routing_key=queue_name,
                headers=message.headers,
                declare=[sender.amqp.queues[queue_name]],
                **message.properties,
            )
