"""Measuring: from a message to the report of what was found. One release at a time, and only while there is room for it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import redis
from celery import Celery

from inference import wire
from inference.asking import Stopped
from inference.engine import EngineLoop
from inference.errors import InferenceError
from inference.evaluate import Subject, measure
from inference.lora import overlaid
from inference.manifest import HELD_OUT
from inference.prompt import PromptEncoder
from workers.attempts import CLAIM
from workers.models import ModelLoadFailed, Models
from workers.reports import Reporter

logger = logging.getLogger(__name__)

LOADING_SHARE: Final = 0.3  # of the progress that is shown
LOADING_POLL_S: Final = 1.0
UNFIT: Final = frozenset(
    {"unsupported_model", "invalid_prompt"}
)  # error codes: the release is at fault, not this worker


class Evaluator:
    """Safe from any thread; a second message waits for the first to be done."""

    def __init__(self, app: Celery, client: redis.Redis, models: Models, *, is_busy: Callable[[], bool]) -> None:
        """``is_busy``: whether calls are served on this worker."""
        self._app = app
        self._claim = client.register_script(CLAIM)
        self._models = models
        self._is_busy = is_busy
        self._turn = threading.Lock()
        self._stopping = threading.Event()

    @property
    def is_at_work(self) -> bool:
        return self._turn.locked()

    def close(self) -> None:
        """Lets go of what is measured: the store asks again, elsewhere."""
        self._stopping.set()

    def evaluate(self, message: dict[str, Any]) -> None:
        """Measures one release. Raises :class:`redis.RedisError` where nobody can say whether another worker does: then nobody answers."""
        try:
            spec = wire.EvaluateSpec.from_json(message)
        except wire.WireError as error:
            logger.error("a message that cannot be read: %s", error)  # there is nobody to answer
            return
        key = wire.claim_key(f"measurement:{spec.measurement_id}")
        with self._turn:
            if self._stopping.is_set() or not self._claim(keys=[key], args=[spec.attempt, wire.CLAIM_TTL_S]):
                return
            reporter = Reporter(self._app, spec.reply_task, spec.measurement_id, spec.attempt)
            try:
                report = self._measure(spec, reporter)
            except Stopped:
                return
            if report.status != "done" and self._stopping.is_set():
                return  # nothing can be loaded or asked on a worker that closes: that is not the release's fault
            reporter.finish(report, is_stopped=self._stopping.is_set)
            logger.info("%s was measured: %s %s", spec.release.repo_id, report.status, report.error)

    def _measure(self, spec: wire.EvaluateSpec, reporter: Reporter) -> wire.MeasurementReport:
        try:
            with ExitStack() as stack:
                loop = self._load(stack, spec, reporter)
                subject = self._subject(stack, spec.release, loop)
                return measure(
                    subject,
                    budget_s=spec.budget_s,
                    tell=lambda share, step: reporter.tell(
                        _progress(LOADING_SHARE + share * (1 - LOADING_SHARE), step)
                    ),
                    is_busy=self._is_busy,
                    is_stopped=self._stopping.is_set,
                )
        except Stopped:
            raise
        except (ModelLoadFailed, InferenceError) as error:
            is_unfit = error.code in UNFIT
            return wire.MeasurementReport(
                status="unfit" if is_unfit else "failed", error=f"The model cannot be loaded: {error}."
            )
        except Exception as error:
            logger.exception("%s could not be measured", spec.release.repo_id)
            return wire.MeasurementReport(status="failed", error=f"The worker failed: {type(error).__name__}.")

    def _load(self, stack: ExitStack, spec: wire.EvaluateSpec, reporter: Reporter) -> EngineLoop:
        """Leases the engine, and says meanwhile how far it is; gives up where there is no room for as long as measuring may take."""
        done, ref = threading.Event(), spec.release
        ends_at = time.monotonic() + spec.budget_s

        def is_wanted() -> bool:
            return not self._stopping.is_set() and time.monotonic() < ends_at

        def tell() -> None:
            while True:
                share = self._models.progress(ref) * LOADING_SHARE
                reporter.tell(_progress(share, "Fetching and loading the model"))
                if done.wait(LOADING_POLL_S):
                    return

        teller = threading.Thread(target=tell, name="evaluate", daemon=True)
        teller.start()
        try:
            return stack.enter_context(self._models.lease(ref, is_wanted))
        finally:
            done.set()
            teller.join()

    def _subject(self, stack: ExitStack, ref: wire.ReleaseRef, loop: EngineLoop) -> Subject:
        folder, base = self._models.folders(ref)
        files = stack.enter_context(overlaid(folder, base))
        return Subject(
            loop=loop,
            encoder=PromptEncoder.from_folder(files),
            context_length=loop.engine.context_length,
            dtype=loop.engine.dtype,
            device=self._models.device,
            held_out=_read(folder / HELD_OUT),
            adapter=ref.digest if ref.base else None,
            memory_bytes=loop.memory_bytes + self._models.adapter_bytes(ref),
        )


def _progress(share: float, step: str) -> wire.MeasurementReport:
    return wire.MeasurementReport(status="running", progress=round(share, 3), step=step)


def _read(path: Path) -> str | None:
    """The provider's text; what is no UTF-8 in it counts as a question mark."""
    return path.read_text(encoding="utf-8", errors="replace") if path.exists() else None
