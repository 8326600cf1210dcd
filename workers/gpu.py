"""The Celery app of a GPU worker: ``python -m workers.gpu``, or ``celery -A workers.gpu worker --pool threads --concurrency 64``.

It holds no credentials but the broker's, and imports nothing of the store. Tasks run on a pool of threads: each submits to an engine
and waits for the end. What the queues are, and when, is decided by :class:`workers.serve.Server`.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
from typing import Any, ClassVar

import kombu
from celery import Celery, bootsteps
from celery.signals import task_received

from inference import wire
from workers import broker, settings
from workers.serve import Server


class Slots:
    """How many messages this worker has taken and not finished: what it cannot start is left to the others.

    Celery's own way, ``worker_disable_prefetch``, looks again once a second only: its event loop sleeps when a slot becomes free.
    """

    def __init__(self) -> None:
        self.limit = 1
        self._taken = 0
        self._lock = threading.Lock()
        self._consumer: Any = None

    def guard(self, consumer: Any) -> None:
        """Lets the consumer read only while a slot is free. Brokers that push (RabbitMQ) obey the prefetch count instead."""
        self._consumer = consumer
        qos = getattr(consumer.task_consumer.channel, "qos", None)
        if qos is not None:
            may_read = qos.can_consume
            qos.can_consume = lambda: self._taken < self.limit and may_read()

    def take(self, **_signal: Any) -> None:
        with self._lock:
            self._taken += 1

    def free(self) -> None:
        with self._lock:
            self._taken -= 1
        self._consumer.call_soon(bool)  # wakes the loop


slots = Slots()
task_received.connect(slots.take)


class Serving(bootsteps.StartStopStep):
    """The engines and their threads. Starts after the pool, so it is stopped before the pool waits for its tasks."""

    requires = ("celery.worker.components:Pool",)
    server: ClassVar[Server]

    def start(self, worker: Any) -> None:
        slots.limit = worker.concurrency
        Serving.server = Server(app, slots=worker.concurrency, name=f"{socket.gethostname()}-{os.getpid()}")

    def stop(self, worker: Any) -> None:
        worker.consumer.shutdown()  # at once: a message that Redis has just handed over goes back to the queue
        self.server.close(drain_s=settings.DRAIN_S)

    def terminate(self, worker: Any) -> None:
        self.server.close(drain_s=0)


class Consuming(bootsteps.StartStopStep):
    """Hands the consumer to the server, each time it has connected."""

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def start(self, consumer: Any) -> None:
        slots.guard(consumer)
        Serving.server.queues.attach(consumer)


app = Celery("gpu", broker=settings.BROKER_URL, amqp=broker.PatientAMQP)
app.conf.update(
    broker.SETTINGS,
    task_acks_late=False,  # a message is a hint: the store sends the run again if this worker dies
    task_default_queue=wire.COLD_QUEUE,
    task_queues=[kombu.Queue(wire.COLD_QUEUE)],
    worker_cancel_long_running_tasks_on_connection_loss=False,
    worker_enable_prefetch_count_reduction=False,
)
logging.getLogger("httpx2").setLevel(logging.WARNING)  # a line for each file
app.steps["worker"].add(Serving)
app.steps["consumer"].add(Consuming)


@app.task(name=wire.SERVE_TASK)
def complete(message: dict[str, Any]) -> None:
    """Serves one attempt; ``message`` is :meth:`inference.wire.CompletionSpec.as_json`."""
    try:
        Serving.server.complete(message)
    finally:
        slots.free()


@app.task(name=wire.EVALUATE_TASK)
def evaluate(message: dict[str, Any]) -> None:
    """Measures a release; ``message`` is :meth:`inference.wire.EvaluateSpec.as_json`."""
    try:
        Serving.server.evaluator.evaluate(message)
    finally:
        slots.free()


@app.task(name=wire.CONVERT_TASK)
def convert(message: dict[str, Any]) -> None:
    """Converts a pickle; ``message`` is :meth:`inference.wire.ConvertSpec.as_json`."""
    try:
        Serving.server.converter.convert(message)
    finally:
        slots.free()


@app.task(name=wire.TUNE_TASK)
def tune(message: dict[str, Any]) -> None:
    """Trains; ``message`` is :meth:`inference.wire.TuneSpec.as_json`."""
    try:
        Serving.server.tuner.tune(message)
    finally:
        slots.free()


def main() -> None:
    """The worker with its settings, and without the parts of Celery that talk to other workers. Does not return."""
    worker = app.Worker(
        pool_cls="threads",
        concurrency=settings.GPU_SLOTS,
        loglevel=settings.LOG_LEVEL,
        quiet=True,
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
    )
    worker.start()
    logging.shutdown()
    os._exit(worker.exitcode or 0)  # everything is closed: taking torch apart object by object would take seconds


if __name__ == "__main__":
    main()
