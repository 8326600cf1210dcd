"""One attempt at a job on this worker: its files, its child, its reports."""

from __future__ import annotations

import logging
import signal
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Protocol

from inference import wire
from inference.errors import NoRoom
from inference.training.shape import architecture_of_shape
from inference.training.task import TrainingTask
from workers import settings
from workers.carrying import Carrier, fetch_checkpoint, fetch_data, send_folder, send_one
from workers.child import ENDED, Child
from workers.models import Models
from workers.reports import Reporter

logger = logging.getLogger(__name__)

GIB: Final = 1024**3
POLL_S: Final = 0.2
CONTROL_S: Final = 1.0  # between two looks at what is wanted
HEARTBEAT_S: Final = 5.0  # between two reports, where there is nothing new
SILENCE_S: Final = 120.0  # a child that says nothing for so long hangs
STALL_S: Final = 3600.0  # one that makes no step, and nothing else of note
STOP_S: Final = 300.0  # for the step that it is in, and its checkpoint
DEATHS: Final = 3  # in a row without a step in between
POINTS_MOST: Final = 2000  # in one report
# Bytes that training takes for each byte of the base's files, and besides: gradients, two moments, float32 in the place of 16 bits.
NEEDS: Final[dict[wire.Adaptation, float]] = {"lora": 1.5, "qlora": 1.0, "full": 5.0}
ROOM: Final = GIB // 2  # for activations
ADDRESSES: Final = 16 * GIB  # that libraries and threads map on a CPU, and do not use
FILE_SPARE: Final = GIB
ROWS: Final = 32  # bytes of rows on disk, which are mapped, for each byte of the data
REFUSED: Final = frozenset({"invalid_data", "invalid_hyperparameters", "unsupported_model", "invalid_prompt"})


class Fenced(Exception):
    """A newer attempt has the job."""


class Stopping(Exception):
    """This worker stops; what could be kept is kept."""


class Control(Protocol):
    """:class:`workers.tune.Controls`."""

    @property
    def is_worker_stopping(self) -> bool: ...

    def wanted(self) -> wire.Wanted: ...


def failed(code: str, error: str, *, is_ours: bool, **fields: Any) -> wire.TuneReport:
    """The last report of an attempt that went wrong."""
    status: wire.TuneStatus = "refused" if code in REFUSED else "failed"
    return wire.TuneReport(status=status, error_code=code, error=error, is_ours=is_ours, **fields)


class Training:
    """Lives for one attempt, on one thread; checkpoints are sent on another."""

    def __init__(self, spec: wire.TuneSpec, folder: Path, models: Models, reporter: Reporter, control: Control) -> None:
        self._spec, self._folder, self._models = spec, folder, models
        self._reporter, self._control = reporter, control
        resume = spec.resume
        self._now = wire.TuneReport(
            status="running", step=resume.step if resume else 0, trained_tokens=resume.trained_tokens if resume else 0
        )
        self._points: list[wire.Point] = []  # not reported yet, as are the samples
        self._samples: list[wire.Sample] = []
        self._wanted: wire.Wanted = "run"
        self._reported_at = self._looked_at = 0.0
        self._carrier = Carrier(spec, self._on_sent)

    def run(self) -> wire.TuneReport:
        """The last report. Raises :class:`Fenced`, :class:`Stopping`, and what can go wrong with files, networks and memory."""
        try:
            need = self._need_bytes()
            self._stage("Waiting for memory")
            with self._models.reserve(f"tune:{self._spec.job_id}", need, self._is_wanted):
                task = self._task(need)
                return self._train(task)
        except Fenced:
            self._carrier.close(drop=True)
            raise
        except NoRoom:
            self._look()
            if self._control.is_worker_stopping:
                raise Stopping from None
            return self._stopped()
        finally:
            self._carrier.close()

    # What it needs

    def _task(self, need: int) -> TrainingTask:
        """Fetches all that the child needs."""
        spec, folder = self._spec, self._folder
        self._stage("Fetching the base and the data")
        is_stopped = self._is_unwanted
        base = adapter = None
        if spec.base is not None:
            first, second = self._models.folders(spec.base)
            base, adapter = (second, first) if second else (first, None)
        root = spec.base.base or spec.base if spec.base else None
        on_cpu = self._models.device == "cpu"
        return TrainingTask(
            method=spec.method,
            adaptation=spec.adaptation,
            training=fetch_data(spec.training, folder / "training", is_stopped),
            validation=fetch_data(spec.validation, folder / "validation", is_stopped) if spec.validation else None,
            hyper=spec.hyper,
            out=folder,
            base=base,
            adapter=adapter,
            base_name=root.repo_id if root else "",
            base_digest=root.digest if root else "",
            model=spec.model,
            resume=fetch_checkpoint(spec.resume, folder / "resume", is_stopped) if spec.resume else None,
            sample_prompts=spec.sample_prompts,
            token_limit=spec.token_limit,
            device=self._models.device,
            threads=settings.TORCH_THREADS,
            memory_bytes=need + ADDRESSES + ROWS * spec.training.size
            if on_cpu
            else 0,  # CUDA maps more addresses than there is memory
            file_bytes=4 * need + FILE_SPARE + ROWS * spec.training.size,
        )

    def _need_bytes(self) -> int:
        """Of the device's memory, about."""
        spec, hyper = self._spec, self._spec.hyper
        size = spec.base.total_size if spec.base else 4 * _parameters(spec.model)
        width = 64 * 1024  # bytes of activations a token, about
        return int(size * NEEDS[spec.adaptation] * (2 if spec.method == "dpo" else 1)) + ROOM + min(
            hyper.batch_size * hyper.max_length * width, 8 * GIB
        )  # fmt: skip

    # The child

    def _train(self, task: TrainingTask) -> wire.TuneReport:
        """Starts a child, and another one after its unexpected death, from the newest checkpoint on."""
        deaths, was_halved = 0, False
        while True:
            began_at = self._now.step
            child = Child(task, self._folder)
            try:
                last = self._listen(child)
            finally:
                child.kill()
            lacked_memory = last.get("code") == "out_of_memory" if last["kind"] == "failed" else False
            if last["kind"] == ENDED:
                logger.warning("the child of %s died with %s: %s", self._spec.name, last["code"], child.errors())
                deaths = 0 if self._now.step > began_at else deaths + 1
                lacked_memory = last["code"] == -signal.SIGKILL and deaths > 0  # as the kernel does it
            if lacked_memory and not was_halved and (smaller := _halved(task.hyper)):
                was_halved = True
                self._note(
                    f"Memory did not suffice for {task.hyper.batch_size} examples at once: they are trained {smaller.batch_size} "
                    "at once now, and a step is as many as before."
                )
                task = replace(task, hyper=smaller)
            elif last["kind"] != ENDED:
                return self._end(last)
            elif deaths >= DEATHS:
                return self._fail("worker_failed", "The training ended by itself, several times.", is_ours=True)
            task = replace(task, resume=self._carrier.newest or task.resume)

    def _listen(self, child: Child) -> dict[str, Any]:
        """Returns the child's last word. Raises :class:`Fenced`."""
        heard_at = moved_at = time.monotonic()
        stop_by: float | None = None
        while True:
            said = child.hear(POLL_S)
            now = time.monotonic()
            if said is not None:
                heard_at = now
                moved_at = moved_at if said["kind"] == "alive" else now
                if said["kind"] in ("done", "stopped", "failed", ENDED):
                    return said
                self._take(said)
            self._look()
            if stop_by is None and (self._wanted != "run" or self._control.is_worker_stopping):
                child.stop()
                stop_by = now + STOP_S
            self._tell()
            if stop_by is not None and now > stop_by:
                return {"kind": "stopped", "step": self._now.step, "trained_tokens": self._now.trained_tokens}
            if now - heard_at > SILENCE_S or now - moved_at > STALL_S:
                logger.warning("the child of %s hangs, and is killed", self._spec.name)
                child.kill()

    def _take(self, said: dict[str, Any]) -> None:
        kind = said["kind"]
        if kind == "points":
            points = [wire.Point(**point) for point in said["points"]]
            self._points += points
            last = points[-1]
            self._now = replace(
                self._now, step=last.step, trained_tokens=max(last.trained_tokens, self._now.trained_tokens if last.step == 0 else 0),
                eta_s=said["eta_s"], epoch_done=said["epoch_done"],
            )  # fmt: skip
        elif kind == "samples":
            self._samples += [wire.Sample(**sample) for sample in said["samples"]]
        elif kind == "checkpoint":
            self._tell(at_once=True)  # whoever goes on from it makes no steps before it
            self._carrier.take(said)
        elif kind == "plan":
            self._now = replace(
                self._now, step=said["step"], steps=said["steps"], trained_tokens=said["trained_tokens"]
            )
        elif kind == "stage":
            self._stage(said["text"])
        elif kind == "note":
            self._note(said["text"])
        elif kind == "isolation" and not said["text"]:
            logger.warning("this machine keeps no child from the network")

    # The end

    def _end(self, last: dict[str, Any]) -> wire.TuneReport:
        """After the last word of the child. Raises :class:`Stopping`, and what can go wrong in sending."""
        if last["kind"] == "failed":
            return self._fail(last["code"], last["error"], is_ours=last["is_ours"])
        if last["kind"] == "stopped":
            self._carrier.close()
            if self._wanted == "run":
                raise Stopping
            return self._stopped()
        self._stage("Sending the result")
        self._carrier.close()
        if last["files"] and self._carrier.error:  # the result is a checkpoint, which should be there
            return self._fail("worker_failed", f"The result could not be sent: {self._carrier.error}.", is_ours=True)
        files = last["files"] or send_folder(Path(last["folder"]), self._spec)
        metrics = send_one(Path(last["metrics"]), self._spec)
        self._look()
        return replace(
            self._now, status="done", step=last["step"], trained_tokens=last["trained_tokens"], files=files, stage="",
            metrics_sha256=metrics,
            perplexity_before=last["perplexity_before"], perplexity_after=last["perplexity_after"], best_step=last["best_step"],
            points=self._points, samples=self._samples, eta_s=0.0,
        )  # fmt: skip

    def _stopped(self) -> wire.TuneReport:
        return replace(self._now, status="stopped", stage="", points=self._points, samples=self._samples, eta_s=None)

    def _fail(self, code: str, error: str, *, is_ours: bool) -> wire.TuneReport:
        """Counts what the last good checkpoint holds: that is what is left of it."""
        self._carrier.close()
        kept = self._carrier.sent or self._spec.resume
        now = self._now
        return failed(
            code, error, is_ours=is_ours, step=now.step, steps=now.steps, epoch_done=now.epoch_done, notes=now.notes,
            trained_tokens=kept.trained_tokens if kept else 0, points=self._points, samples=self._samples,
        )  # fmt: skip

    # Reports

    def _look(self) -> None:
        """What the store wants, now and then. Raises :class:`Fenced`."""
        if time.monotonic() - self._looked_at >= CONTROL_S:
            self._looked_at = time.monotonic()
            self._wanted = self._control.wanted()

    def _is_wanted(self) -> bool:
        self._look()
        self._tell()
        return self._wanted == "run" and not self._control.is_worker_stopping

    def _is_unwanted(self) -> bool:
        return not self._is_wanted()

    def _stage(self, text: str) -> None:
        self._now = replace(self._now, stage=text)
        self._reported_at = 0.0
        self._tell()

    def _note(self, text: str) -> None:
        self._now = replace(self._now, notes=[*self._now.notes, text])

    def _tell(self, *, at_once: bool = False) -> None:
        """Reports what is new; what the broker does not take stays for the next report."""
        is_news = bool(self._points or self._samples)
        if not is_news and time.monotonic() - self._reported_at < HEARTBEAT_S:
            return
        points, samples = self._points[:POINTS_MOST], self._samples
        if self._reporter.tell(replace(self._now, points=points, samples=samples), at_once=at_once):
            self._reported_at = time.monotonic()
            self._points, self._samples = self._points[len(points) :], self._samples[len(samples) :]

    def _on_sent(self, checkpoint: wire.Checkpoint) -> None:
        """On the carrier's thread."""
        report = replace(self._now, status="checkpoint", checkpoint=checkpoint, points=[], samples=[])
        self._reporter.finish(report, is_stopped=lambda: self._control.is_worker_stopping)


def _halved(hyper: wire.Hyper) -> wire.Hyper | None:
    """Half as many examples at once, or the next number below that divides them: a step stays what it is. None where it is one."""
    for size in range(hyper.batch_size // 2, 0, -1):
        if hyper.batch_size % size == 0:
            return replace(hyper, batch_size=size, accumulation=hyper.accumulation * hyper.batch_size // size)
    return None


def _parameters(shape: wire.ScratchConfig | None) -> int:
    return architecture_of_shape(shape).parameters if shape else 0
