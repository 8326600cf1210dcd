"""Converting: a provider's pickle becomes safetensors in a child process that has no network and hard limits, or is refused."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import threading
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import redis
from celery import Celery

from inference import wire
from inference.asking import Stopped
from inference.errors import InferenceError
from inference.manifest import hash_file
from inference.receiving import Unwanted, is_wanted, receive_file
from inference.sending import send_file
from inference.weights import pull_release
from workers import settings
from workers.attempts import CLAIM
from workers.reports import Reporter

logger = logging.getLogger(__name__)

TIMEOUT_S: Final = 3600.0  # of the child
POLL_S: Final = 0.1
ASK_EVERY_S: Final = 3.0  # whether anybody still wants it
FETCHED, CONVERTED = 0.4, 0.7  # of the progress that is shown
BROKEN: Final = "The conversion needed more memory or time than it may have, or the file is damaged."


class Refused(Exception):
    """The file cannot be converted. The message is a sentence for its owner."""


class Converter:
    """Safe from any thread; a second message waits for the first to be done."""

    def __init__(self, app: Celery, client: redis.Redis) -> None:
        self._app = app
        self._claim = client.register_script(CLAIM)
        self._turn = threading.Lock()
        self._stopping = threading.Event()

    @property
    def is_at_work(self) -> bool:
        return self._turn.locked()

    def close(self) -> None:
        """Ends the child: the store asks again, elsewhere."""
        self._stopping.set()

    def convert(self, message: dict[str, Any]) -> None:
        """Converts one file. Raises :class:`redis.RedisError` where nobody can say whether another worker does."""
        try:
            spec = wire.ConvertSpec.from_json(message)
        except wire.WireError as error:
            logger.error("a message that cannot be read: %s", error)  # there is nobody to answer
            return
        key = wire.claim_key(f"conversion:{spec.job_id}")
        with self._turn:
            if self._stopping.is_set() or not self._claim(keys=[key], args=[spec.attempt, wire.CLAIM_TTL_S]):
                return
            reporter = Reporter(self._app, spec.reply_task, spec.job_id, spec.attempt)
            try:
                report = self._report(spec, reporter)
            except Stopped:
                return
            reporter.finish(report, is_stopped=self._stopping.is_set)

    def _report(self, spec: wire.ConvertSpec, reporter: Reporter) -> wire.ConversionReport:
        try:
            with TemporaryDirectory(prefix="convert-", dir=_scratch()) as folder:
                return self._convert(spec, Path(folder), reporter)
        except Refused as error:
            return wire.ConversionReport(status="refused", error=str(error))
        except Stopped:
            raise
        except (InferenceError, OSError) as error:
            logger.warning("%s could not be converted: %s", spec.source_name, error)
            return wire.ConversionReport(status="failed", error=f"The worker could not do it: {error}.")

    def _convert(self, spec: wire.ConvertSpec, folder: Path, reporter: Reporter) -> wire.ConversionReport:
        reporter.tell(_progress(0.0))
        base = pull_release(spec.base, settings.WEIGHTS_DIR)
        source = folder / "source" / Path(spec.source_name).name
        source.parent.mkdir()
        self._fetch(spec, source)
        reporter.tell(_progress(FETCHED))
        out = folder / "out"
        notes = self._run_child(spec, source, base, out)
        reporter.tell(_progress(CONVERTED))
        files = {}
        for path in sorted(out.iterdir()):
            entry = hash_file(path)
            send_file(path, entry, url=spec.target_url, organization=spec.organization, token=spec.token)
            files[entry.path] = entry.sha256
        return wire.ConversionReport(status="done", progress=1.0, files=files, notes=notes)

    def _fetch(self, spec: wire.ConvertSpec, target: Path) -> None:
        """Raises :class:`PullFailed`, :class:`Stopped`."""
        try:
            receive_file(
                target, url=spec.source_url, token=spec.token, sha256=spec.source_sha256, size=spec.source_size,
                is_stopped=self._stopping.is_set,
            )  # fmt: skip
        except Unwanted:
            raise Stopped("the worker stops") from None

    def _run_child(self, spec: wire.ConvertSpec, source: Path, base: Path, out: Path) -> list[str]:
        """Returns the child's notes. Raises :class:`Refused`, :class:`Stopped`."""
        command = [sys.executable, "-m", "inference.convert", str(source), "--base", str(base), "--out", str(out)]
        with (out.with_name("answer")).open("w+b") as answer:
            child = subprocess.Popen(
                [*command, "--sandboxed", "--cpu-s", str(int(TIMEOUT_S))], stdin=subprocess.DEVNULL, stdout=answer,
                stderr=subprocess.DEVNULL, cwd=settings.BASE_DIR, env={"PATH": "/usr/bin:/bin", "HOME": str(out.parent)},
            )  # fmt: skip
            try:
                self._await(child, spec)
            finally:
                child.kill()
                child.wait()
            answer.seek(0)
            said = answer.read()
        try:
            told = json.loads(said)
            error, notes = str(told["error"]), [str(note) for note in told.get("notes", ())]
        except (ValueError, KeyError, TypeError):
            raise Refused(BROKEN) from None
        if error:
            raise Refused(error)
        return notes

    def _await(self, child: subprocess.Popen[bytes], spec: wire.ConvertSpec) -> None:
        """Raises :class:`Stopped`, also where the conversion was cancelled: then the store gives the file out no more."""
        asked_at = time.monotonic()
        ends_at = asked_at + TIMEOUT_S
        while child.poll() is None and time.monotonic() < ends_at:
            if self._stopping.wait(POLL_S):
                raise Stopped("the worker stops")
            if time.monotonic() - asked_at > ASK_EVERY_S:
                if not is_wanted(spec.source_url, token=spec.token):
                    raise Stopped("it was cancelled")
                asked_at = time.monotonic()


def _scratch() -> Path:
    folder = settings.DATA_DIR / "conversions"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _progress(share: float) -> wire.ConversionReport:
    return wire.ConversionReport(status="running", progress=share)
