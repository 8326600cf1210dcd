"""What training needs to go on as if nothing had happened, in one safetensors file: data, of which nothing can run.

The tensors of the optimizer and of the random generators lie in it as tensors; numbers lie as JSON in its metadata.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file

STATE: Final = "training_state.safetensors"
KEY: Final = "state"


@dataclass(kw_only=True)
class Progress:
    """How far a job is, all attempts together."""

    step: int = 0
    trained_tokens: int = 0
    seconds: float = 0.0  # of training, evaluations and checkpoints included
    perplexity_before: float | None = None
    perplexity_after: float | None = None
    best_step: int | None = None
    best_loss: float | None = None
    best_files: dict[str, str] = field(
        default_factory=dict
    )  # path -> sha256 of the best checkpoint's model, where it was kept
    evaluations_since_best: int = 0


def save_state(folder: Path, progress: Progress, *, optimizer: Any, scheduler: Any, scaler: Any = None) -> None:
    """Raises :class:`OSError`."""
    tensors: dict[str, torch.Tensor] = {}
    numbers: dict[str, Any] = {"progress": vars(progress), "scheduler": _plain(scheduler.state_dict())}
    numbers["optimizer"] = _flatten(optimizer.state_dict(), tensors)
    numbers["scaler"] = scaler.state_dict() if scaler is not None else None
    numbers["python"] = random.getstate()
    name, keys, *rest = np.random.get_state()
    numbers["numpy"] = [name, *rest]
    tensors["random.numpy"] = torch.from_numpy(np.asarray(keys).astype(np.int64))
    tensors["random.cpu"] = torch.random.get_rng_state()
    if torch.cuda.is_available():
        tensors["random.cuda"] = torch.cuda.get_rng_state()
    save_file(tensors, folder / STATE, metadata={KEY: json.dumps(numbers)})


def load_progress(folder: Path) -> Progress:
    """Raises :class:`OSError` and :class:`ValueError`."""
    return Progress(**_numbers(folder)["progress"])


def load_state(folder: Path, *, optimizer: Any, scheduler: Any, scaler: Any = None) -> None:
    """Puts optimizer and schedule where they were. Raises :class:`OSError` and :class:`ValueError`."""
    numbers = _numbers(folder)
    state: dict[int, dict[str, Any]] = {int(key): values for key, values in numbers["optimizer"]["numbers"].items()}
    with safe_open(folder / STATE, framework="pt") as file:
        for name in file.keys():  # noqa: SIM118  # it is no dict
            if name.startswith("optimizer."):
                _, key, field_name = name.split(".", 2)
                state.setdefault(int(key), {})[field_name] = file.get_tensor(name)
    groups = [_tuples(group) for group in numbers["optimizer"]["groups"]]
    optimizer.load_state_dict({"state": state, "param_groups": groups})
    scheduler.load_state_dict(numbers["scheduler"])
    if scaler is not None and numbers["scaler"]:
        scaler.load_state_dict(numbers["scaler"])


def load_random(folder: Path) -> None:
    """Puts the random generators where they were. Raises :class:`OSError` and :class:`ValueError`."""
    numbers = _numbers(folder)
    version, keys, gauss = numbers["python"]
    random.setstate((version, tuple(keys), gauss))
    with safe_open(folder / STATE, framework="pt") as file:
        name, *rest = numbers["numpy"]
        np.random.set_state((name, file.get_tensor("random.numpy").numpy().astype(np.uint32), *rest))
        torch.random.set_rng_state(file.get_tensor("random.cpu"))
        if torch.cuda.is_available() and "random.cuda" in file.keys():  # noqa: SIM118
            torch.cuda.set_rng_state(file.get_tensor("random.cuda"))


def _numbers(folder: Path) -> dict[str, Any]:
    with safe_open(folder / STATE, framework="pt") as file:
        return dict(json.loads((file.metadata() or {})[KEY]))


def _flatten(state: dict[str, Any], tensors: dict[str, torch.Tensor]) -> dict[str, Any]:
    """Takes the tensors out; what stays is JSON."""
    numbers: dict[str, dict[str, Any]] = {}
    for key, values in state["state"].items():
        numbers[str(key)] = {}
        for name, value in values.items():
            if isinstance(value, torch.Tensor):
                tensors[f"optimizer.{key}.{name}"] = value.detach().cpu().contiguous()
            else:
                numbers[str(key)][name] = value
    return {"numbers": numbers, "groups": [_plain(group) for group in state["param_groups"]]}


def _plain(group: dict[str, Any]) -> dict[str, Any]:
    """Without what is no number, flag, name or list of such."""
    kept = (int, float, bool, str, list, tuple, type(None))
    return {key: value.item() if isinstance(value, torch.Tensor) else value for key, value in group.items()
            if isinstance(value, (*kept, torch.Tensor))}  # fmt: skip


def _tuples(group: dict[str, Any]) -> dict[str, Any]:
    """JSON knows no tuples, and an optimizer's betas are one."""
    return {key: tuple(value) if isinstance(value, list) and key != "params" else value for key, value in group.items()}
