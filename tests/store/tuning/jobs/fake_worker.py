"""A worker that trains, as the store sees it: it takes up what was sent, says what the real one says, and dies when it is told to."""

from __future__ import annotations

import json
import struct
from typing import Any

from inference import wire
from store.catalog.models import Release
from store.tuning.actions.dispatching import dispatch
from store.tuning.actions.reporting import take_report
from store.tuning.models import TuneJob
from tests.store.tuning.jobs.conftest import put_away

RANK = 2
STEP_TOKENS = 100


def adapter_files(base: Release, *, step: int = 0) -> dict[str, bytes]:
    """An adapter of a release that ``tests.store.catalog.folders`` wrote. Another ``step`` is another content."""
    config = {
        "peft_type": "LORA", "task_type": "CAUSAL_LM", "r": RANK, "lora_alpha": 4, "target_modules": ["c_attn"], "fan_in_fan_out": True,
        "base_model_name_or_path": base.listing.name, "revision": base.digest, "bias": "none",
    }  # fmt: skip
    module = "base_model.model.transformer.h.0.attn.c_attn"
    return {
        "adapter_config.json": json.dumps(config).encode(),
        "adapter_model.safetensors": _safetensors(
            {f"{module}.lora_A.weight": (RANK, 8), f"{module}.lora_B.weight": (24, RANK)}, fill=step
        ),
    }


def _safetensors(shapes: dict[str, tuple[int, int]], *, fill: int) -> bytes:
    header, at = {}, 0
    for name, (high, wide) in shapes.items():
        size = 4 * high * wide
        header[name] = {"dtype": "F32", "shape": [high, wide], "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + struct.pack("<f", fill / 1024) * (at // 4)


class FakeWorker:
    """One attempt in the hands of a worker. Steps of STEP_TOKENS tokens each; it goes on at the newest checkpoint."""

    def __init__(self, job: TuneJob, *, steps: int = 10) -> None:
        self.job, self.epoch, self.steps = job, job.attempts, steps
        newest = job.checkpoints.order_by("-step").first()
        self.step = newest.step if newest else 0

    @classmethod
    def take_up(cls, *, slots: int = 1, steps: int = 10) -> FakeWorker:
        """The next job of the queue, given to it."""
        (job,) = dispatch(slots)
        return cls(job, steps=steps)

    def say(self, status: wire.TuneStatus, **said: Any) -> None:
        """A report as it comes from the wire. It raises what the store's task would raise."""
        known = {"step": self.step, "steps": self.steps, "trained_tokens": self.step * STEP_TOKENS}
        report = wire.TuneReport(status=status, **{**known, **said})
        take_report(job_id=self.job.pk, epoch=self.epoch, message=json.loads(json.dumps(report.as_json())))
        self.job.refresh_from_db()

    def train(self, steps: int, **said: Any) -> None:
        """Steps, and their report."""
        points = [
            wire.Point(step=step, loss=3.0 / step, learning_rate=1e-4, trained_tokens=step * STEP_TOKENS)
            for step in range(self.step + 1, self.step + steps + 1)
        ]
        self.step += steps
        self.say("running", points=points, eta_s=60.0, **said)

    def send(self, files: dict[str, bytes]) -> dict[str, str]:
        """Files that arrive in the store: path -> digest."""
        return {path: put_away(self.job.organization, content).sha256 for path, content in files.items()}

    def checkpoint(self, **said: Any) -> None:
        assert self.job.base is not None
        model = self.send(adapter_files(self.job.base.base or self.job.base, step=self.step))
        state = self.send({"state/optimizer.safetensors": f"{self.job.pk} at {self.step}".encode()})
        made = wire.Checkpoint(
            step=self.step, trained_tokens=self.step * STEP_TOKENS, files=model | state, model_files=list(model), **said
        )
        self.say("checkpoint", checkpoint=made)

    def finish(self, files: dict[str, bytes] | None = None, **said: Any) -> None:
        """All steps that are left, and the result."""
        assert self.job.base is not None
        if self.step < self.steps:
            self.train(self.steps - self.step)
        made = adapter_files(self.job.base.base or self.job.base, step=self.step)
        sent = self.send(made if files is None else files)
        self.say("done", files=sent, epoch_done=3.0, **said)
