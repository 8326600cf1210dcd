"""From a task to a trained model, in one process."""

from __future__ import annotations

import torch

from inference.errors import InferenceError, InvalidRequest, PromptError
from inference.training.data import BadData
from inference.training.models import make_subject
from inference.training.rows import Order, Rows, packed, read_rows, split_rows
from inference.training.session import Session
from inference.training.task import TrainingTask
from inference.training.trainers import make_trainer
from inference.training.voice import Voice

NO_MEMORY = ("out of memory", "can't allocate memory", "cannot allocate memory", "std::bad_alloc")


def train(task: TrainingTask, voice: Voice) -> None:
    """Says everything, its last word included. Raises what :func:`failure_of` knows, and what nobody expects."""
    if task.threads:
        torch.set_num_threads(task.threads)
    voice.say("stage", text="Loading the model")
    subject = make_subject(task)
    voice.say("stage", text="Reading the data")
    rows, held_out = read_all(task, subject.encoder)
    order = Order(rows, task.hyper, token_limit=task.token_limit)
    trainer = make_trainer(task, subject, rows, order)
    voice.say("stage", text="Training")
    Session(task, subject, trainer, order, held_out, voice).run()


def read_all(task: TrainingTask, encoder: object) -> tuple[Rows, Rows | None]:
    """What is trained, and what is held out. Raises :class:`BadData` and :class:`InvalidRequest`."""
    hyper, folder = task.hyper, task.out / "rows"
    rows = read_rows(task.training, encoder, max_length=hyper.max_length, folder=folder / "training")  # type: ignore[arg-type]
    if not len(rows):
        raise InvalidRequest("no example is left to train on: all are cut away at max_length", param="max_length")
    if task.validation is not None:
        held_out: Rows | None = read_rows(
            task.validation, encoder, max_length=hyper.max_length, folder=folder / "validation"  # type: ignore[arg-type]
        )  # fmt: skip
    else:
        rows, held_out = split_rows(rows, share=hyper.split, seed=hyper.seed)
    if hyper.packing:
        rows = packed(rows, max_length=hyper.max_length)
    return rows, held_out if held_out is not None and len(held_out) else None


def failure_of(error: BaseException) -> tuple[str, str]:
    """A stable code, and a sentence for the owner."""
    text = str(error).strip() or type(error).__name__
    if isinstance(error, BadData):
        return "invalid_data", f"The data cannot be trained on: {text}"
    if isinstance(error, InvalidRequest):
        return "invalid_hyperparameters", f"{text[:1].upper()}{text[1:]}."
    if isinstance(error, PromptError):
        return "invalid_data", f"The base's tokenizer cannot be used: {text}."
    if isinstance(error, InferenceError):
        return error.code, f"{text[:1].upper()}{text[1:]}."
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)) or any(sign in text.lower() for sign in NO_MEMORY):
        return (
            "out_of_memory",
            "The training needs more memory than there is. Choose a smaller batch, shorter examples or a smaller rank.",
        )
    return "worker_failed", f"The training failed: {type(error).__name__}."
