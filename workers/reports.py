"""What a long task tells the store: Celery tasks to the store's own queue, progress now and then, the end until the broker has it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any, Final, Protocol

import redis
from celery import Celery
from kombu.exceptions import KombuError

from inference import wire

logger = logging.getLogger(__name__)

INTERVAL_S: Final = 1.0  # between two reports of progress
RETRY_S: Final = 1.0
BROKER_ERRORS: Final = (KombuError, OSError, redis.RedisError)


class Report(Protocol):
    def as_json(self) -> dict[str, Any]: ...


class Reporter:
    """Tells about one attempt at one job. Safe from any thread."""

    def __init__(self, app: Celery, task: str, job_id: int, attempt: int) -> None:
        self._app = app
        self._task = task
        self._name = (job_id, attempt)
        self._told_at = -INTERVAL_S
        self._lock = threading.Lock()

    def tell(self, report: Report, *, at_once: bool = False) -> bool:
        """Progress: at most one report a second is sent, but ``at_once``; one that the broker does not take is lost. Returns whether it was sent."""
        with self._lock:
            if not at_once and time.monotonic() - self._told_at < INTERVAL_S:
                return False
            self._told_at = time.monotonic()
        try:
            self._send(report)
        except BROKER_ERRORS as error:
            logger.warning("progress of %s was lost: %s", self._task, error)
            return False
        return True

    def finish(self, report: Report, *, is_stopped: Callable[[], bool]) -> None:
        """The end: sent again until the broker takes it, or this worker stops."""
        while True:
            try:
                self._send(report)
                return
            except BROKER_ERRORS as error:
                if is_stopped():
                    logger.warning("the end of %s was lost: %s", self._task, error)
                    return
                time.sleep(RETRY_S)

    def _send(self, report: Report) -> None:
        self._app.send_task(
            self._task, args=(*self._name, report.as_json()), queue=wire.CPU_QUEUE, argsrepr="", kwargsrepr="", retry=False
        )  # fmt: skip
