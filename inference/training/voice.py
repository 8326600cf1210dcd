"""What the child that trains says, and what it hears: lines of JSON. Standard library only.

It says, each line with a ``kind``: "stage" (``text``), "note" (``text``), "plan" (``step``, ``steps``), "points" and "samples" (lists of
the wire's), "checkpoint", and one last word: "done", "stopped" or "failed". Between them a thread says "alive". It hears "stop" on
its input: then it writes a checkpoint after the step it is in, and ends. When its input ends, so does it, which is how it outlives
nobody.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from dataclasses import asdict
from typing import IO, Any, Final

from inference.wire import Point, Sample

STOP: Final = "stop"
ALIVE_S: Final = 2.0  # between two signs of life
POINTS_S: Final = 1.0  # between two lines of points: a step each, or more where steps are quick


class Voice:
    """Safe from any thread. Takes the process's real output for itself: what a library prints goes to the errors."""

    def __init__(self) -> None:
        self._out: IO[str] = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
        os.dup2(2, 1)
        self._lock = threading.Lock()
        self._points: list[Point] = []
        self._extra: dict[str, Any] = {}
        self._told_at = 0.0
        self.is_stop_wanted = threading.Event()
        threading.Thread(target=self._listen, name="listen", daemon=True).start()
        threading.Thread(target=self._live, name="alive", daemon=True).start()

    def say(self, kind: str, **fields: Any) -> None:
        """Says what is waiting, then this."""
        self.flush()
        self._write({"kind": kind, **fields})

    def point(self, point: Point, *, eta_s: float | None, epoch_done: float) -> None:
        """One step; several are said together where they are quick."""
        self._points.append(point)
        self._extra = {"eta_s": eta_s, "epoch_done": epoch_done}
        if time.monotonic() - self._told_at >= POINTS_S:
            self.flush()

    def samples(self, samples: list[Sample]) -> None:
        if samples:
            self.say("samples", samples=[asdict(sample) for sample in samples])

    def flush(self) -> None:
        """Says the points that wait."""
        points, self._points = self._points, []
        self._told_at = time.monotonic()
        if points:
            self._write({"kind": "points", "points": [asdict(point) for point in points], **self._extra})

    def _write(self, message: dict[str, Any]) -> None:
        with self._lock:
            self._out.write(json.dumps(message, allow_nan=False) + "\n")

    def _live(self) -> None:
        while True:
            time.sleep(ALIVE_S)
            self._write({"kind": "alive"})

    def _listen(self) -> None:
        for line in sys.stdin:
            if line.strip() == STOP:
                self.is_stop_wanted.set()
        os._exit(1)  # whoever started it is gone
