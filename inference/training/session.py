"""One attempt at a training, from the first step it makes to its last word."""

from __future__ import annotations

import errno
import math
import re
import resource
import shutil
import time
from collections import deque
from pathlib import Path
from typing import Final

import torch
from safetensors import SafetensorError
from transformers import TrainerState

from inference.errors import InferenceError
from inference.manifest import hash_file
from inference.training.evaluation import Evaluation, answer, evaluate
from inference.training.metrics import Metrics
from inference.training.models import Subject
from inference.training.rows import Collator, Order, Rows
from inference.training.state import Progress, load_progress, save_state
from inference.training.task import TrainingTask
from inference.training.trainers import AnyTrainer
from inference.training.voice import Voice
from inference.training.writing import DIALOGUES, write_model
from inference.wire import Point

CHECKPOINT_LEAST_S: Final = 30.0  # between two checkpoints by the clock
CHECKPOINT_SHARE: Final = 0.04  # of the time that may go into writing them
FIRST_MOST_S: Final = 1.0  # of a first one that is written at an epoch's end, however short the training is
EPOCH_LEAST_S: Final = 1.0  # between two that are written because an epoch ended
WRITE_LEAST_BYTES_S: Final = 50e6  # of a disk, before the first was written
PARTIAL: Final = ".partial"
WRITE_TRIES: Final = 3
WRITE_RETRY_S: Final = 2.0
NO_SPACE: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
RECENT: Final = 10  # steps whose mean loss says whether it diverges
DIVERGED: Final = 3.0  # times the loss of a model that knows nothing


class Diverged(InferenceError):
    """The loss is no number any more, or far worse than guessing."""

    code = "diverged"


class DiskFull(InferenceError):
    """A checkpoint or the result could not be written, several times."""

    code = "disk_full"


class _Stopped(Exception):
    """As it was asked to, after its last checkpoint."""


class Session:
    """Hears every step (:class:`inference.training.trainers.Watcher`)."""

    def __init__(
        self,
        task: TrainingTask,
        subject: Subject,
        trainer: AnyTrainer,
        order: Order,
        held_out: Rows | None,
        voice: Voice,
    ) -> None:
        self._task, self._subject, self._trainer, self._order = task, subject, trainer, order
        self._held_out, self._voice = held_out, voice
        self._collator = Collator(subject.pad_id)
        self._progress = load_progress(task.resume) if task.resume else Progress()
        self._began = self._step_began = time.monotonic()
        self._began_at_step = self._progress.step
        self._seconds_before = self._progress.seconds
        self._wrote_at, self._writing_s, self._writes = self._began, 0.0, 0
        self._write_s = _trained_bytes(trainer.model) / WRITE_LEAST_BYTES_S  # for one: a guess, then the longest so far
        self._failed_writes = 0
        self._telling_s = 0.0
        self._cpu_from: float | None = None  # of this process, at the end of its first step
        self._recent: deque[float] = deque(maxlen=RECENT)
        self._worst = DIVERGED * math.log(subject.encoder.vocab_size) if task.method != "dpo" else math.inf
        self._metrics = Metrics(task.out, resume=task.resume)
        trainer.watcher = self

    def run(self) -> None:
        """Trains to the end, or to a stop; says everything, its last word included. Raises :class:`Diverged` and :class:`DiskFull`."""
        task, progress = self._task, self._progress
        self._voice.say("plan", step=progress.step, steps=self._order.steps, trained_tokens=progress.trained_tokens)
        if self._order.was_limited:
            self._voice.say("note", text=f"It ends after {self._order.steps} steps: more tokens were not paid for.")
        try:
            if progress.step == 0:
                self._evaluate_base()
            if progress.step < self._order.steps and not self._is_patience_over():
                if task.resume is not None:
                    state = TrainerState(
                        global_step=progress.step, train_batch_size=task.hyper.batch_size, logging_steps=1
                    )
                    state.save_to_json(str(task.resume / "trainer_state.json"))  # where the loop looks for it
                self._trainer.train(resume_from_checkpoint=str(task.resume) if task.resume else None)
        except _Stopped:
            self._voice.say("stopped", step=progress.step, trained_tokens=progress.trained_tokens)
            return
        self._finish()

    def on_step(self, *, loss: float, grad_norm: float, learning_rate: float) -> None:
        """On the loop's thread, after each step of the optimizer."""
        progress, now = self._progress, time.monotonic()
        self._cpu_from = time.process_time() if self._cpu_from is None else self._cpu_from
        progress.step = self._trainer.state.global_step
        tokens = int(self._order.tokens_after[progress.step])
        self._check(loss, grad_norm, progress.step)
        made = tokens - progress.trained_tokens
        progress.trained_tokens = tokens
        progress.seconds = self._seconds_before + now - self._began
        found = self._evaluate() if self._is_evaluation_due() else None
        point = Point(
            step=progress.step, loss=loss, val_loss=found.loss if found else None, learning_rate=learning_rate, grad_norm=grad_norm,
            tokens_per_s=round(made / max(now - self._step_began, 1e-9), 1), memory_bytes=_memory(self._task.device),
            accuracy=self._trainer.take_accuracy(), val_accuracy=found.accuracy if found else None, trained_tokens=tokens,
            at=round(time.time(), 3),
        )  # fmt: skip
        told_from = time.monotonic()
        self._metrics.add(point)
        self._voice.point(point, eta_s=self._eta(now), epoch_done=self._order.epochs_after(progress.step))
        self._telling_s += time.monotonic() - told_from
        is_last = progress.step >= self._order.steps
        if not is_last and (self._voice.is_stop_wanted.is_set() or self._is_checkpoint_due(bool(found))):
            self._checkpoint()
        if self._voice.is_stop_wanted.is_set() and not is_last:
            raise _Stopped
        if self._is_patience_over():
            self._voice.say(
                "note", text=f"It stopped early after step {progress.step}: the validation loss got no better."
            )
            self._trainer.control.should_training_stop = True
        self._step_began = time.monotonic()

    def _check(self, loss: float, grad_norm: float, step: int) -> None:
        self._recent.append(loss)
        is_bad = len(self._recent) == RECENT and sum(self._recent) / RECENT > self._worst
        if not (math.isfinite(loss) and math.isfinite(grad_norm)) or is_bad:
            raise Diverged(
                f"the loss was {loss:.4g} at step {step}: the training diverged. Try a lower learning rate, or a longer warmup"
            )

    def _eta(self, now: float) -> float | None:
        done = self._progress.step - self._began_at_step
        return round((self._order.steps - self._progress.step) * (now - self._began) / done, 1) if done else None

    # Evaluations

    def _is_evaluation_due(self) -> bool:
        step, every = self._progress.step, self._task.hyper.eval_every
        is_due = step % every == 0 if every else self._ends_epoch(step)
        return self._held_out is not None and (is_due or step >= self._order.steps)

    def _ends_epoch(self, step: int) -> bool:
        return int(self._order.epochs_after(step)) > int(self._order.epochs_after(step - 1))

    def _evaluate_base(self) -> None:
        if self._held_out is not None:
            self._voice.say("stage", text="Evaluating the base")
            found = evaluate(self._trainer, self._held_out, self._collator, batch_size=self._task.hyper.batch_size)
            self._progress.perplexity_before = _finite(found.perplexity)
            point = Point(step=0, val_loss=_finite(found.loss), val_accuracy=found.accuracy, at=round(time.time(), 3))
            self._metrics.add(point)
            self._voice.point(point, eta_s=None, epoch_done=0.0)
        self._answer()
        self._began = self._step_began = self._wrote_at = time.monotonic()

    def _evaluate(self) -> Evaluation:
        """Also asks the sample prompts, and remembers what was best. Raises :class:`Diverged`."""
        assert self._held_out is not None
        progress = self._progress
        found = evaluate(self._trainer, self._held_out, self._collator, batch_size=self._task.hyper.batch_size)
        if not math.isfinite(found.loss):
            raise Diverged(
                f"the validation loss is no number after step {progress.step}: the training diverged. Try a lower learning rate"
            )
        progress.perplexity_after = found.perplexity
        if progress.best_loss is None or found.loss < progress.best_loss:
            progress.best_loss, progress.best_step, progress.evaluations_since_best = found.loss, progress.step, 0
            progress.best_files = {}
        else:
            progress.evaluations_since_best += 1
        self._answer()
        return found

    def _answer(self) -> None:
        self._voice.samples(
            answer(
                self._trainer, self._task.sample_prompts, self._subject.encoder, step=self._progress.step,
                as_chat=self._task.method in DIALOGUES, pad_id=self._subject.pad_id,
            )
        )  # fmt: skip

    def _is_patience_over(self) -> bool:
        patience = self._task.hyper.early_stopping_patience
        return bool(patience) and self._progress.evaluations_since_best >= patience

    # Files

    def _is_checkpoint_due(self, was_evaluated: bool) -> bool:
        step, every = self._progress.step, self._task.hyper.checkpoint_every
        if self._task.hyper.early_stopping_patience and was_evaluated and self._progress.best_step == step:
            return True
        if every:
            return step % every == 0
        now = time.monotonic()
        is_cheap = self._writing_s + self._write_s <= CHECKPOINT_SHARE * (now - self._began)
        if self._ends_epoch(step) and not self._writes:
            return is_cheap or self._write_s <= FIRST_MOST_S
        least = EPOCH_LEAST_S if self._ends_epoch(step) else CHECKPOINT_LEAST_S
        return is_cheap and now - self._wrote_at >= least

    def _checkpoint(self) -> None:
        """Writes one; where the disk is full it says so, and tries again when the next one is due. Raises :class:`DiskFull`."""
        began, progress = time.monotonic(), self._progress
        folder = self._task.out / f"checkpoint-{progress.step}"
        if folder.exists():  # of a child before this one, which died later
            return
        if not _are_finite(self._trainer.model):
            raise Diverged(
                f"a weight is no number after step {progress.step}: the training diverged. Try a lower learning rate"
            )
        try:
            model_files = self._write_checkpoint(folder)
        except (OSError, SafetensorError) as error:
            shutil.rmtree(folder.with_suffix(PARTIAL), ignore_errors=True)
            self._failed_writes += 1
            if not _is_full(error) or self._failed_writes >= WRITE_TRIES:
                raise DiskFull(f"a checkpoint could not be written: {error}") from error
            self._voice.say(
                "note", text=f"The disk was full after step {progress.step}; the checkpoint is tried again."
            )
        else:
            self._failed_writes = 0
            self._voice.say(
                "checkpoint", folder=str(folder), step=progress.step, trained_tokens=progress.trained_tokens,
                model_files=model_files, val_loss=progress.best_loss if progress.best_step == progress.step else None,
                is_best=progress.best_step == progress.step,
            )  # fmt: skip
        self._wrote_at = time.monotonic()
        took = self._wrote_at - began
        self._write_s = max(self._write_s, took) if self._writes else took
        self._writing_s += took
        self._writes += 1

    def _write_checkpoint(self, folder: Path) -> list[str]:
        """Under another name first: a folder that is called a checkpoint is whole."""
        partial = folder.with_suffix(PARTIAL)
        shutil.rmtree(partial, ignore_errors=True)
        names = write_model(partial, self._task, self._subject, self._trainer, is_result=False)
        if self._progress.best_step == self._progress.step:
            self._progress.best_files = {name: hash_file(partial / name).sha256 for name in names}
        trainer = self._trainer
        save_state(
            partial, self._progress, optimizer=trainer.optimizer, scheduler=trainer.lr_scheduler, scaler=trainer.accelerator.scaler
        )  # fmt: skip
        self._metrics.copy_to(partial)
        partial.rename(folder)
        return names

    def _finish(self) -> None:
        """Writes the result; of a training that stopped early it is the best checkpoint, which is uploaded already."""
        progress, folder = self._progress, self._task.out / "result"
        best = (
            progress.best_files
            if self._task.hyper.early_stopping_patience and progress.best_step != progress.step
            else {}
        )
        self._voice.say("stage", text="Writing the result")
        if not best:
            self._write_result(folder)
        self._metrics.close()
        after = math.exp(progress.best_loss) if best and progress.best_loss is not None else progress.perplexity_after
        self._voice.say(
            "done", folder=str(folder), files=best, metrics=str(self._metrics.path), step=progress.step, trained_tokens=progress.trained_tokens,
            perplexity_before=progress.perplexity_before, perplexity_after=after, best_step=progress.best_step,
            training_s=round(progress.seconds, 3), writing_s=round(self._writing_s, 3),
            telling_s=round(self._telling_s, 4), cpu_s=round(time.process_time() - (self._cpu_from or 0.0), 3),
        )  # fmt: skip

    def _write_result(self, folder: Path) -> None:
        if not _are_finite(self._trainer.model):
            raise Diverged("a weight of the result is no number: the training diverged. Try a lower learning rate")
        for last in (number == WRITE_TRIES - 1 for number in range(WRITE_TRIES)):
            try:
                write_model(folder, self._task, self._subject, self._trainer, is_result=True)
                return
            except (OSError, SafetensorError) as error:
                shutil.rmtree(folder, ignore_errors=True)
                if last or not _is_full(error):
                    raise DiskFull(f"the result could not be written: {error}") from error
                self._voice.say("note", text="The disk was full when the result was written; it is tried again.")
                time.sleep(WRITE_RETRY_S)  # a disk does not tell when there is room again


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None


def _is_full(error: Exception) -> bool:
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno in NO_SPACE
    found = re.search(r"os error (\d+)", str(error))  # as safetensors tells it
    return bool(found) and int(found[1]) in NO_SPACE  # type: ignore[index]


@torch.no_grad()
def _are_finite(model: torch.nn.Module) -> bool:
    """Whether every trained weight is a number. One sum a tensor: any that is not makes the sum none."""
    return all(math.isfinite(float(p.float().sum())) for p in model.parameters() if p.requires_grad)


def _trained_bytes(model: torch.nn.Module) -> int:
    """Of a checkpoint, about: the trained weights and two moments of each."""
    return sum(3 * p.numel() * p.element_size() for p in model.parameters() if p.requires_grad)


def _memory(device: str) -> int:
    """Bytes, the most so far."""
    if device.startswith("cuda"):
        return int(torch.cuda.max_memory_allocated())
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
