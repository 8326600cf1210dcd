"""The Celery app of a GPU worker: ``python -m workers.gpu``, or ``celery -A workers.gpu worker --pool threads --concurrency 64``.

It holds no credentials but the broker's, and imports nothing of the store. Tasks run on a pool of threads: each submits to an engine
and waits for the end. What the queues are, and when, is decided by :class:`workers.serve.Server`.
"""

from __future__ import annotations

import logging
import os
import socket
from typing import Any, Final, Self

import kombu
from celery import Celery, bootsteps
from celery.app.amqp import AMQP
from celery.worker.request import Request

from inference import wire
from workers import settings
from workers.serve import Server

RECONNECT_MAX_S: Final = 1.0


class PatientConnection(kombu.Connection):
    """Looks for a lost broker every second, where Celery would wait for up to half a minute."""

    def ensure_connection(self, *args: Any, **kwargs: Any) -> Self:
        kwargs |= {"interval_start": 0.2, "interval_step": 0.2, "interval_max": RECONNECT_MAX_S}
        return super().ensure_connection(*args, **kwargs)


class PatientAMQP(AMQP):
    Connection = PatientConnection


class ServeRequest(Request):
    """Wakes the event loop when a task ends: it left the broker alone while all slots were taken, and would sleep on."""

    def on_success(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().on_success(*args, **kwargs)
        finally:
            steps.wake()


class Steps:
    """What the two bootsteps share: the server of this process, and the consumer that feeds it."""

    server: Server | None = None
    consumer: Any = None

    def wake(self) -> None:
        if self.consumer is not None:
            self.consumer.call_soon(bool)


steps = Steps()


class Serving(bootsteps.StartStopStep):
    """The engines and their threads. Starts after the pool, so it is stopped before the pool waits for its tasks."""

    requires = ("celery.worker.components:Pool",)

    def start(self, worker: Any) -> None:
        steps.server = Server(slots=worker.concurrency, name=f"{socket.gethostname()}-{os.getpid()}")

    def stop(self, worker: Any) -> None:
        if steps.server:
            steps.server.close(drain_s=settings.DRAIN_S)

    def terminate(self, worker: Any) -> None:
        if steps.server:
            steps.server.close(drain_s=0)


class Consuming(bootsteps.StartStopStep):
    """Hands the consumer to the server, each time it has connected."""

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def start(self, consumer: Any) -> None:
        steps.consumer = consumer
        if steps.server:
            steps.server.queues.attach(consumer)


app = Celery("gpu", broker=settings.BROKER_URL, amqp=PatientAMQP)
app.conf.update(
    accept_content=["json"],
    broker_connection_max_retries=None,
    broker_connection_retry_on_startup=True,
    broker_transport_options={"socket_timeout": 5, "socket_connect_timeout": 2, "health_check_interval": 5},
    task_acks_late=False,  # a message is a hint: the store sends the run again if this worker dies
    task_default_queue=wire.COLD_QUEUE,
    task_ignore_result=True,
    task_queues=[kombu.Queue(wire.COLD_QUEUE)],
    worker_cancel_long_running_tasks_on_connection_loss=False,
    worker_disable_prefetch=True,  # what this worker cannot start is left to the others
    worker_enable_prefetch_count_reduction=False,
    worker_enable_remote_control=False,
    worker_log_format="%(asctime)s %(levelname)s %(name)s %(message)s",
    worker_prefetch_multiplier=1,
    worker_redirect_stdouts=False,
)
for chatty in ("celery.app.trace", "celery.worker.strategy", "httpx2"):
    logging.getLogger(chatty).setLevel(logging.WARNING)  # a line or more for each run, and for each file
app.steps["worker"].add(Serving)
app.steps["consumer"].add(Consuming)


@app.task(name=wire.SERVE_TASK, Request=ServeRequest)
def complete(message: dict[str, Any]) -> None:
    """Serves one attempt; ``message`` is :meth:`inference.wire.CompletionSpec.as_json`."""
    assert steps.server is not None  # it starts before the first message is read
    steps.server.complete(message)


def main() -> None:
    """The worker with its settings, and without the parts of Celery that talk to other workers."""
    quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    slots = str(settings.GPU_SLOTS)
    app.worker_main(["--quiet", "worker", "--pool", "threads", "-c", slots, "-l", settings.LOG_LEVEL, *quiet])


if __name__ == "__main__":
    main()
