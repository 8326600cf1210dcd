"""Writes what was trained as the files of a release: an adapter as PEFT saves it, or full weights with all that belongs to them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any, Final

import torch
from huggingface_hub import save_torch_state_dict

from inference.lora import CONFIG
from inference.training.data import TRAINING_TEMPLATE
from inference.training.models import DTYPES, Subject
from inference.training.task import TrainingTask
from inference.training.trainers import AnyTrainer

TEMPLATE: Final = "chat_template.jinja"
DIALOGUES: Final = ("supervised", "dpo")


def write_model(
    folder: Path, task: TrainingTask, subject: Subject, trainer: AnyTrainer, *, is_result: bool
) -> list[str]:
    """Returns the names of the files. A result has the base's own precision, a checkpoint the one that is trained in.

    Raises :class:`OSError` and :class:`safetensors.SafetensorError`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    model: Any = trainer.accelerator.unwrap_model(trainer.model)
    if subject.lora is not None:
        _write_adapter(folder, task, model)
    else:
        _write_weights(folder, subject, model, is_result=is_result)
    if task.method in DIALOGUES and not subject.encoder.has_chat_template:
        (folder / TEMPLATE).write_text(TRAINING_TEMPLATE, encoding="utf-8")  # the dialogues were written with it
    return sorted(item.name for item in folder.iterdir())


def _write_adapter(folder: Path, task: TrainingTask, model: Any) -> None:
    model.save_pretrained(str(folder), selected_adapters=["default"], save_embedding_layers=False)
    (folder / "README.md").unlink(missing_ok=True)  # PEFT's; the store writes the card
    file = folder / CONFIG
    config = json.loads(file.read_text(encoding="utf-8"))
    config |= {"base_model_name_or_path": task.base_name, "revision": task.base_digest, "inference_mode": True}
    config["target_modules"] = sorted(config["target_modules"])
    file.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def _write_weights(folder: Path, subject: Subject, model: Any, *, is_result: bool) -> None:
    for item in subject.files.iterdir():
        shutil.copyfile(item, folder / item.name)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    base_dtype = str(config.get("dtype") or config.get("torch_dtype") or "float32").removeprefix("torch.")
    dtype = DTYPES[base_dtype] if is_result else torch.float32
    config.pop("torch_dtype", None)
    config["dtype"] = base_dtype if is_result else "float32"
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    weights = {name: parameter.detach().to("cpu", dtype) for name, parameter in model.named_parameters()}
    save_torch_state_dict(weights, str(folder), metadata={"format": "pt"})
