"""A training within the process of a test: what it says is kept, and it can be told to stop."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from inference.training.run import train
from inference.training.task import DataFile, TrainingTask
from inference.wire import Hyper, Point, Sample

HYPER = Hyper(epochs=2, batch_size=4, learning_rate=5e-3, max_length=64, seed=3)
DIALOGUES = [
    {
        "messages": [
            {"role": "user", "content": f"What is {number}?"},
            {"role": "assistant", "content": f"A number, {number}."},
        ]
    }
    for number in range(20)
]
PAIRS = [
    {"prompt": f"What is {number}?", "chosen": f" A number, {number}.", "rejected": " No idea, sir."}
    for number in range(12)
]


class Heard:
    """In the place of :class:`inference.training.voice.Voice`."""

    def __init__(self, *, stop_after: int | None = None) -> None:
        """``stop_after``: the step after which it is asked to stop."""
        self.said: list[dict[str, Any]] = []
        self.points: list[Point] = []
        self.answers: list[Sample] = []
        self.is_stop_wanted = threading.Event()
        self._stop_after = stop_after
        self.on_step: Callable[[Point], None] = lambda point: None

    def say(self, kind: str, **fields: Any) -> None:
        json.dumps(fields, allow_nan=False)
        self.said.append({"kind": kind, **fields})

    def point(self, point: Point, **_more: Any) -> None:
        json.dumps(asdict(point), allow_nan=False)
        self.points.append(point)
        self.on_step(point)
        if self._stop_after is not None and point.step >= self._stop_after:
            self.is_stop_wanted.set()

    def samples(self, samples: list[Sample]) -> None:
        self.answers += samples

    def all(self, kind: str) -> list[dict[str, Any]]:
        return [said for said in self.said if said["kind"] == kind]

    @property
    def last(self) -> dict[str, Any]:
        return self.said[-1]

    @property
    def losses(self) -> list[float]:
        return [point.loss for point in self.points if point.loss is not None]

    @property
    def val_losses(self) -> list[float]:
        return [point.val_loss for point in self.points if point.val_loss is not None]


def data_file(path: Path, records: list[dict[str, Any]], format: str) -> DataFile:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return DataFile(path=path, filename=path.name, format=format)


def task_of(folder: Path, base: Path | None, **changes: Any) -> TrainingTask:
    """A small supervised LoRA, or what is changed of it; ``hyper`` changes some hyperparameters."""
    (folder / "out").mkdir(parents=True, exist_ok=True)
    hyper = replace(HYPER, **changes.pop("hyper", {}))
    fields: dict[str, Any] = {
        "method": "supervised", "adaptation": "lora", "hyper": hyper, "out": folder / "out", "base": base,
        "base_name": "acme/bard", "base_digest": f"sha256:{1:064x}", "threads": 1,
    }  # fmt: skip
    if "training" not in changes:
        fields["training"] = data_file(folder / "train.jsonl", DIALOGUES, "chat")
    return TrainingTask(**{**fields, **changes})


def trained(task: TrainingTask, *, stop_after: int | None = None) -> Heard:
    heard = Heard(stop_after=stop_after)
    train(task, heard)  # type: ignore[arg-type]  # all that is asked of a Voice
    return heard
