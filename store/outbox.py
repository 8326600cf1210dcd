"""The only place that talks to Celery's sending side.

Ordinary tasks are sent after commit, by name. Their row is the outbox: every such task takes the id of a row whose state says that
work is due, and the beat schedule sends again what is still due (``workers.money``, ``workers.reap``), so a lost message delays and
never loses. A run's first message is sent by its gateway the moment its transaction has committed, and sent again under a higher epoch
when nobody starts it (``runs.reader``).
"""

from __future__ import annotations

from typing import Any

from celery import Celery
from django.conf import settings
from django.db import transaction

from inference import wire

CPU_QUEUE = "cpu"

sender = Celery("store", broker=settings.BROKER_URL, set_as_current=False)
sender.conf.update(
    task_serializer="json",
    task_ignore_result=True,
    broker_transport_options={"socket_timeout": 5, "socket_connect_timeout": 2},
    task_publish_retry=False,
)


def send_after_commit(task: str, *args: Any) -> None:
    """Sends a CPU task when the current transaction has committed; at once outside of one."""
    transaction.on_commit(lambda: sender.send_task(task, args=args, queue=CPU_QUEUE))


def send_run(spec: wire.CompletionSpec, *, queue: str) -> None:
    """Sends one attempt of a run. Blocks for one round trip to the broker; raises kombu.exceptions.OperationalError."""
    sender.send_task(wire.SERVE_TASK, args=(spec.as_json(),), queue=queue)
