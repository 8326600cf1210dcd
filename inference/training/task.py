"""What the child that trains is told: one JSON file. What it answers is in ``inference.training.voice``. Standard library only."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from inference.wire import Adaptation, Hyper, Method, ScratchConfig


@dataclass(frozen=True, kw_only=True, slots=True)
class DataFile:
    """A file of examples on this machine."""

    path: Path
    filename: str  # as its owner named it: the ending says the container
    format: str
    mapping: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingTask:
    """One attempt, or a part of one: where everything lies on this machine."""

    method: Method
    adaptation: Adaptation
    training: DataFile
    hyper: Hyper
    out: Path  # an empty folder: checkpoints and the result are written here
    validation: DataFile | None = None
    base: Path | None = None  # full weights; None where the method is "scratch"
    adapter: Path | None = None  # the base's own adapter, if it has one: training goes on with it
    base_name: str = ""  # "acme/bard", for the config of an adapter
    base_digest: str = ""
    model: ScratchConfig | None = None
    resume: Path | None = None  # the folder of a checkpoint
    sample_prompts: list[str] = field(default_factory=list)
    token_limit: int = 0
    device: str = "cpu"
    threads: int = 0  # 0: as many as torch likes
    memory_bytes: int = 0  # of addresses; 0: no limit, as CUDA needs it
    file_bytes: int = 0  # of each file that it writes; 0: no limit

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self), default=str), encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> TrainingTask:
        """Raises :class:`OSError`, and :class:`TypeError` and :class:`KeyError` on another shape."""
        data: dict[str, Any] = json.loads(path.read_bytes())
        parts = {
            "training": _data_file(data["training"]),
            "validation": _data_file(data["validation"]) if data["validation"] else None,
            "hyper": Hyper(**data["hyper"]),
            "model": ScratchConfig(**data["model"]) if data["model"] else None,
            **{name: Path(data[name]) if data[name] else None for name in ("base", "adapter", "resume")},
            "out": Path(data["out"]),
        }
        return cls(**{**data, **parts})


def _data_file(data: dict[str, Any]) -> DataFile:
    return DataFile(**{**data, "path": Path(data["path"])})
