"""A worker that trains: what it reports, what it obeys, and what is left when something is killed in the middle."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from inference import wire
from inference.manifest import inspect_folder
from inference.wire import Hyper
from tests.inference.training.heard import DIALOGUES
from tests.tiny_families import write_family
from tests.waiting import await_that
from tests.workers.fake_store import TOKEN, FakeStore
from tests.workers.hub import Hub
from tests.workers.listener import Listener
from tests.workers.processes import GpuWorker

pytestmark = pytest.mark.timeout(1800)

KILLS, FULL_KILLS = 2, 20
SHORT = Hyper(epochs=2, batch_size=4, learning_rate=5e-3, max_length=64, split=0.1, eval_every=4)
LONG = replace(SHORT, epochs=2000, split=0.0, checkpoint_every=5)  # until somebody stops it


@pytest.fixture
def database() -> int:
    return 7


@pytest.fixture
def store() -> Iterator[FakeStore]:
    made = FakeStore()
    yield made
    made.close()


@pytest.fixture(scope="module")
def base(hub: Hub, tmp_path_factory: pytest.TempPathFactory) -> wire.ReleaseRef:
    return hub.publish("tests/tuned", write_family(tmp_path_factory.mktemp("bases") / "gpt2", "gpt2"))


def lines(records: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(record) + "\n" for record in records).encode()


def spec_of(store: FakeStore, base: wire.ReleaseRef, job_id: int, **changes: Any) -> wire.TuneSpec:
    data = changes.pop("data", lines(DIALOGUES))
    sha256 = store.put(data)
    training = wire.DataRef(
        url=f"{store.url}/blobs/{sha256}",
        sha256=sha256,
        size=len(data),
        format="chat",
        filename="train.jsonl",
        token=TOKEN,
    )
    fields: dict[str, Any] = {
        "method": "supervised", "adaptation": "lora", "base": base, "training": training, "hyper": SHORT,
        "upload_url": f"{store.url}/uploads", "organization": "acme", "token": TOKEN, "sample_prompts": ["What is 7?"],
    }  # fmt: skip
    return wire.TuneSpec(job_id=job_id, epoch=1, name=f"ftjob-{job_id}", **{**fields, **changes})


def next_attempt(store: FakeStore, spec: wire.TuneSpec, checkpoint: wire.Checkpoint | None) -> wire.TuneSpec:
    """As the store sends it: a higher epoch, from the newest checkpoint that it has."""
    if checkpoint is None:
        return replace(spec, epoch=spec.epoch + 1)
    resume = wire.CheckpointRef(
        step=checkpoint.step,
        trained_tokens=checkpoint.trained_tokens,
        files=checkpoint.files,
        url=f"{store.url}/blobs/",
        token=TOKEN,
    )
    return replace(spec, epoch=spec.epoch + 1, resume=resume)


def child_of(worker: GpuWorker) -> psutil.Process | None:
    """The process that trains."""
    for process in psutil.Process(worker.process.pid).children():
        if "inference.training" in process.cmdline():
            return process
    return None


def folder_of(store: FakeStore, files: dict[str, str], folder: Path) -> Path:
    folder.mkdir()
    for path, sha256 in files.items():
        (folder / path).write_bytes(store.blobs[sha256])
    return folder


def want(listener: Listener, spec: wire.TuneSpec, wanted: wire.Wanted, *, epoch: int | None = None) -> None:
    listener.redis.set(wire.control_key(spec.job_id), wire.Control(epoch=epoch or spec.epoch, wanted=wanted).encode())


def test_it_trains_reports_and_sends_a_release(
    start_worker: Callable[..., GpuWorker], listener: Listener, store: FakeStore, base: wire.ReleaseRef, tmp_path: Path
) -> None:
    worker = start_worker()
    spec = listener.send_training(spec_of(store, base, 1))
    await_that(
        lambda: spec.job_id in (report.tuning if (report := worker.report()) else ()),
        "it says that it trains",
        timeout_s=90,
    )
    end = listener.wait_for_training(spec)
    assert (end.status, end.error) == ("done", "")
    assert end.step == end.steps > 0
    points = [point for report in listener.trainings(spec) for point in report.points]
    assert [point.step for point in points] == list(range(end.steps + 1))
    assert points[-1].trained_tokens == end.trained_tokens
    assert end.perplexity_after is not None
    assert end.perplexity_before is not None
    assert end.perplexity_after < end.perplexity_before
    assert next(sample.step for report in listener.trainings(spec) for sample in report.samples) == 0
    metrics = store.blobs[end.metrics_sha256].decode().splitlines()
    assert metrics[0].startswith("step,train_loss,train_accuracy,valid_loss,valid_mean_token_accuracy")
    assert len(metrics) == end.steps + 2  # its names, and the base
    report = inspect_folder(folder_of(store, end.files, tmp_path / "result"))
    assert report.problems == ()
    assert report.base_digest == base.digest
    assert store.organizations == {"acme"}

    bad = listener.send_training(spec_of(store, base, 2, data=lines([*DIALOGUES, {"messages": []}])))
    end = listener.wait_for_training(bad)
    assert (end.status, end.error_code, end.is_ours) == ("refused", "invalid_data", False)
    assert f"line {len(DIALOGUES) + 1}" in end.error

    wrong = replace(bad, job_id=3, training=replace(bad.training, sha256="0" * 64))
    end = listener.wait_for_training(listener.send_training(wrong))
    assert (end.status, end.error_code, end.is_ours) == ("failed", "worker_failed", True)
    wild = spec_of(
        store, base, 4, adaptation="full", hyper=replace(LONG, optimizer="sgd", learning_rate=1e3, clip=0.0, warmup=0)
    )
    end = listener.wait_for_training(listener.send_training(wild))
    assert (end.status, end.error_code) == ("failed", "diverged")
    kept = [report.checkpoint.trained_tokens for report in listener.trainings(wild) if report.checkpoint]
    assert end.trained_tokens == max(kept, default=0)


def test_a_pause_keeps_a_checkpoint_from_which_it_goes_on(
    start_worker: Callable[..., GpuWorker], listener: Listener, store: FakeStore, base: wire.ReleaseRef
) -> None:
    start_worker()
    spec = listener.send_training(spec_of(store, base, 10, hyper=LONG))
    listener.wait_for_checkpoint(spec)
    want(listener, spec, "pause")
    end = listener.wait_for_training(spec)
    assert end.status == "stopped"
    checkpoint = [report.checkpoint for report in listener.trainings(spec) if report.checkpoint][-1]
    assert (checkpoint.step, checkpoint.trained_tokens) == (end.step, end.trained_tokens)

    again = replace(next_attempt(store, spec, checkpoint), hyper=replace(LONG, epochs=None, steps=checkpoint.step + 3))
    want(listener, again, "run")
    end = listener.wait_for_training(listener.send_training(again))
    assert (end.status, end.step) == ("done", checkpoint.step + 3)
    steps = [point.step for report in listener.trainings(again) for point in report.points]
    assert steps == [checkpoint.step + number for number in (1, 2, 3)]

    cancelled = listener.send_training(spec_of(store, base, 11, hyper=LONG))
    listener.wait_for_checkpoint(cancelled)
    want(listener, cancelled, "cancel")
    assert listener.wait_for_training(cancelled).status == "stopped"


def test_of_two_that_have_a_job_the_older_one_is_silenced(
    start_worker: Callable[..., GpuWorker], listener: Listener, store: FakeStore, base: wire.ReleaseRef
) -> None:
    worker = start_worker()
    spec = listener.send_training(spec_of(store, base, 20, hyper=LONG))
    checkpoint = listener.wait_for_checkpoint(spec)
    start_worker()
    newer = next_attempt(store, spec, checkpoint)
    listener.send_training(replace(newer, hyper=replace(LONG, epochs=None, steps=checkpoint.step + 3)))
    end = listener.wait_for_training(newer)
    assert (end.status, end.step) == ("done", checkpoint.step + 3)
    await_that(lambda: child_of(worker) is None, "the older child is gone", timeout_s=60)
    assert {report.status for report in listener.trainings(spec)} <= {"running", "checkpoint"}
    listener.send_training(spec)  # the message comes once more, late
    await_that(lambda: worker.report() and not listener.redis.llen(wire.TUNE_QUEUE), "it was taken", timeout_s=60)
    assert child_of(worker) is None


def test_a_worker_that_stops_keeps_a_checkpoint_and_says_no_last_word(
    start_worker: Callable[..., GpuWorker], listener: Listener, store: FakeStore, base: wire.ReleaseRef
) -> None:
    worker = start_worker(DRAIN_S="120")
    spec = listener.send_training(spec_of(store, base, 30, hyper=replace(LONG, checkpoint_every=100_000)))
    await_that(lambda: any(report.points for report in listener.trainings(spec)), "it trains", timeout_s=240)
    worker.signal(signal.SIGTERM)
    await_that(lambda: worker.process.poll() is not None, "it has stopped", timeout_s=180)
    assert {report.status for report in listener.trainings(spec)} == {"running", "checkpoint"}


@pytest.mark.fault
def test_however_often_child_and_worker_are_killed_the_steps_and_tokens_are_the_same(
    start_worker: Callable[..., GpuWorker], listener: Listener, store: FakeStore, base: wire.ReleaseRef
) -> None:
    """Each time a checkpoint has come, kill -9: of the child, then of the worker, in turns."""
    kills = FULL_KILLS if os.environ.get("FAULTS") == "full" else KILLS
    hyper = replace(LONG, epochs=None, steps=40 * (kills + 1), checkpoint_every=5)
    worker = start_worker()
    whole = listener.wait_for_training(listener.send_training(spec_of(store, base, 40, hyper=hyper)))
    spec = listener.send_training(spec_of(store, base, 41, hyper=hyper))
    checkpoint: wire.Checkpoint | None = None
    for number in range(kills):
        checkpoint = listener.wait_for_checkpoint(spec, after=checkpoint.step if checkpoint else 0)
        if number % 2 == 0:
            child = child_of(worker)
            if child is not None:
                os.kill(child.pid, signal.SIGKILL)  # the worker begins another one
            continue
        child = child_of(worker)
        worker.process.kill()
        worker.process.wait()
        if child is not None:
            child.wait(60)  # it outlives nobody
        worker = start_worker()
        checkpoints = [report.checkpoint for report in listener.trainings(spec) if report.checkpoint]
        checkpoint = max(checkpoints, key=lambda made: made.step)
        spec = listener.send_training(next_attempt(store, spec, checkpoint))
    end = listener.wait_for_training(spec)
    assert (end.status, end.step, end.trained_tokens) == ("done", whole.step, whole.trained_tokens)
