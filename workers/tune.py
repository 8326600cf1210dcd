"""Training: from a message to the last report of its attempt. A child trains; this feeds it, listens, carries, and ends it.

The store wants one of three things (``control_key``): that it goes on, pauses, or is cancelled. A worker that stops lets the child write
a checkpoint, sends it, and says no last word: the store then asks another. So does a worker that dies, but for the checkpoint. A
worker whose job has gone to another under a higher epoch kills its child and says nothing.
"""

from __future__ import annotations

import logging
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import redis
from celery import Celery

from inference import wire
from inference.errors import DigestMismatch, InferenceError
from inference.receiving import Unwanted
from workers import settings
from workers.attempts import CLAIM
from workers.models import Models
from workers.reports import Reporter
from workers.training import Fenced, Stopping, Training, failed

logger = logging.getLogger(__name__)


class Tuner:
    """Safe from any thread; a message beyond the slots waits for one to be free."""

    def __init__(self, app: Celery, client: redis.Redis, models: Models, *, slots: int) -> None:
        self._app = app
        self._redis = client
        self._claim = client.register_script(CLAIM)
        self._models = models
        self.slots = slots
        self._free = threading.Semaphore(max(slots, 1))
        self._jobs: dict[int, int] = {}  # job -> epoch
        self._lock = threading.Lock()
        self._idle = threading.Condition(self._lock)
        self._stopping = threading.Event()
        _sweep()

    @property
    def jobs(self) -> tuple[int, ...]:
        """Those that are trained now."""
        with self._lock:
            return tuple(sorted(self._jobs))

    @property
    def has_room(self) -> bool:
        return len(self.jobs) < self.slots and not self._stopping.is_set()

    def close(self) -> None:
        """Lets each child write a checkpoint, and end: the store asks again, elsewhere."""
        self._stopping.set()

    def await_idle(self, timeout_s: float) -> None:
        """Until all of them have ended, or the time is over."""
        with self._idle:
            self._idle.wait_for(lambda: not self._jobs, timeout_s)

    def tune(self, message: dict[str, Any]) -> None:
        """One attempt. Raises :class:`redis.RedisError` where nobody can say whether another worker has it."""
        try:
            spec = wire.TuneSpec.from_json(message)
        except wire.WireError as error:
            logger.error("a message that cannot be read: %s", error)  # there is nobody to answer
            return
        with self._free:
            if self._stopping.is_set() or not self.claim(spec):
                return
            with self._counted(spec):
                self._train(spec)

    def claim(self, spec: wire.TuneSpec) -> bool:
        """Takes the attempt, unless it or a newer one was taken. Raises :class:`redis.RedisError`."""
        key = wire.claim_key(wire.control_key(spec.job_id))
        return bool(self._claim(keys=[key], args=[spec.epoch, wire.CLAIM_TTL_S]))

    def _train(self, spec: wire.TuneSpec) -> None:
        reporter = Reporter(self._app, spec.reply_task, spec.job_id, spec.epoch)
        control = Controls(self._redis, spec, self._stopping, self.claim)
        logger.info("%s is trained: attempt %d", spec.name, spec.epoch)
        try:
            with _folder() as folder:
                report = Training(spec, folder, self._models, reporter, control).run()
        except (Fenced, Stopping, Unwanted) as error:
            logger.info("%s goes on elsewhere: %s", spec.name, type(error).__name__)
            return
        except DigestMismatch as error:
            report = failed("base_gone", f"The base cannot be used: {error}.", is_ours=False)
        except (InferenceError, OSError) as error:
            logger.warning("%s could not be trained: %s", spec.name, error)
            report = failed("worker_failed", f"The worker could not do it: {error}.", is_ours=True)
        reporter.finish(report, is_stopped=self._stopping.is_set)
        logger.info("%s: %s %s", spec.name, report.status, report.error)

    @contextmanager
    def _counted(self, spec: wire.TuneSpec) -> Iterator[None]:
        with self._lock:
            self._jobs[spec.job_id] = spec.epoch
        try:
            yield
        finally:
            with self._idle:
                if self._jobs.get(spec.job_id) == spec.epoch:
                    del self._jobs[spec.job_id]
                self._idle.notify_all()


class Controls:
    """What the store wants of one attempt, asked of Redis; while that is away, what it wanted last."""

    def __init__(self, client: redis.Redis, spec: wire.TuneSpec, stopping: threading.Event, claim: Any) -> None:
        self._redis, self._spec, self._claim = client, spec, claim
        self._stopping = stopping
        self._wanted: wire.Wanted = "run"

    @property
    def is_worker_stopping(self) -> bool:
        return self._stopping.is_set()

    def wanted(self) -> wire.Wanted:
        """Keeps the claim alive. Raises :class:`workers.training.Fenced` where a newer attempt has the job."""
        key = wire.control_key(self._spec.job_id)
        claim = wire.claim_key(key)
        try:
            stored, said = self._redis.mget([claim, key])
            if stored is None:
                self._claim(self._spec)  # Redis forgot it
            else:
                self._redis.expire(claim, wire.CLAIM_TTL_S)
            control = wire.Control.decode(said) if said else wire.Control(epoch=self._spec.epoch)
        except redis.RedisError as error:
            logger.warning("what is wanted of %s cannot be told: %s", self._spec.name, error)
            return self._wanted
        except wire.WireError as error:
            logger.error("%s: %s", self._spec.name, error)
            return self._wanted
        if max(int(stored or 0), control.epoch) > self._spec.epoch:
            raise Fenced
        self._wanted = control.wanted
        return self._wanted


@contextmanager
def _folder() -> Iterator[Path]:
    """A new folder, named after this process, so that what a killed one leaves behind is found."""
    root = settings.DATA_DIR / "tuning"
    root.mkdir(parents=True, exist_ok=True)
    folder = Path(mkdtemp(prefix=f"{os.getpid()}-", dir=root))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _sweep() -> None:
    """Removes what workers left behind that were killed."""
    for folder in (settings.DATA_DIR / "tuning").glob("*-*"):
        owner = folder.name.partition("-")[0]
        if owner.isdigit() and not Path(f"/proc/{owner}").exists():
            shutil.rmtree(folder, ignore_errors=True)
