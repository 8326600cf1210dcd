"""The child process that trains, as its worker sees it: lines from it, a word to it, and its end."""

from __future__ import annotations

import json
import logging
import queue
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, Final

from inference.training.task import TrainingTask
from inference.training.voice import STOP
from workers import settings

logger = logging.getLogger(__name__)

ENDED: Final = "ended"  # the kind of the last message, made here
ERRORS_SHOWN: Final = 2000  # characters of its errors, in the log
QUIET: Final = {
    "HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "TRANSFORMERS_VERBOSITY": "error", "PYTHONWARNINGS": "ignore",
    "TOKENIZERS_PARALLELISM": "false", "HF_HUB_DISABLE_PROGRESS_BARS": "1",
}  # fmt: skip


class Child:
    """Dies with its worker: its input ends then. Safe from any thread."""

    def __init__(self, task: TrainingTask, folder: Path) -> None:
        """``folder``: where its files, caches and errors lie."""
        task.write(folder / "task.json")
        self._errors = folder / "errors.log"
        home = {"HOME": str(folder), "HF_HOME": str(folder / "cache"), "TMPDIR": str(folder)}
        with self._errors.open("wb") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "inference.training", str(folder / "task.json")],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, cwd=settings.BASE_DIR, text=True, encoding="utf-8",
                env=settings.CHILD_ENVIRONMENT | QUIET | home,
            )  # fmt: skip
        self._lines: queue.Queue[dict[str, Any]] = queue.Queue()
        threading.Thread(target=self._read, name="child", daemon=True).start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def hear(self, timeout_s: float) -> dict[str, Any] | None:
        """The next thing that it said; None where there is none yet. The last one has the kind ENDED, and its ``code``."""
        try:
            return self._lines.get(timeout=timeout_s)
        except queue.Empty:
            return None

    def stop(self) -> None:
        """Asks it to write a checkpoint after the step it is in, and to end."""
        try:
            assert self._process.stdin is not None
            self._process.stdin.write(f"{STOP}\n")
            self._process.stdin.flush()
        except OSError:
            logger.info("the training ended before it could be asked to stop")

    def kill(self) -> None:
        """Ends it now, if it has not ended."""
        self._process.kill()
        self._process.wait()

    def errors(self) -> str:
        """The end of what it wrote to its errors; for the log."""
        with self._errors.open("rb") as file:
            file.seek(max(0, self._errors.stat().st_size - ERRORS_SHOWN))
            return file.read().decode(errors="replace")

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            try:
                message = json.loads(line)
            except ValueError:
                continue  # half a line, of a child that was killed
            if isinstance(message, dict) and isinstance(message.get("kind"), str):
                self._lines.put(message)
        self._lines.put({"kind": ENDED, "code": self._process.wait()})
