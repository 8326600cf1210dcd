"""What a worker makes of a child that lacks memory, dies or fails: the child here is a script of what it says."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from inference import wire
from inference.training.task import TrainingTask
from tests.inference.training.heard import DIALOGUES
from tests.workers.fake_store import TOKEN, FakeStore
from tests.workers.test_tune import lines
from workers import training
from workers.training import Training

NO_MEMORY = {"kind": "failed", "code": "out_of_memory", "error": "Too much.", "is_ours": True}
KILLED = {"kind": "ended", "code": -9}
CRASHED = {"kind": "ended", "code": 1}


class Script:
    """In the place of :class:`workers.child.Child`: each one that is begun says the next list."""

    lists: list[list[dict[str, Any]]] = []
    tasks: list[TrainingTask] = []

    def __init__(self, task: TrainingTask, folder: Path) -> None:
        Script.tasks.append(task)
        self._says = iter(Script.lists[len(Script.tasks) - 1])

    def hear(self, timeout_s: float) -> dict[str, Any] | None:
        return next(self._says)

    def stop(self) -> None: ...

    def kill(self) -> None: ...

    def errors(self) -> str:
        return ""


class Room:
    """In the place of the models: there is room."""

    device = "cpu"

    @contextmanager
    def reserve(self, *_args: Any) -> Iterator[None]:
        yield


class Told:
    """In the place of a reporter."""

    def tell(self, report: wire.TuneReport, *, at_once: bool = False) -> bool:
        return True

    def finish(self, report: wire.TuneReport, **_more: Any) -> None: ...


class GoOn:
    is_worker_stopping = False

    def wanted(self) -> wire.Wanted:
        return "run"


@pytest.fixture
def store() -> Iterator[FakeStore]:
    made = FakeStore()
    yield made
    made.close()


@pytest.fixture
def run(store: FakeStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    def run(*lists: list[dict[str, Any]], batch_size: int = 6) -> wire.TuneReport:
        Script.lists, Script.tasks = list(lists), []
        monkeypatch.setattr(training, "Child", Script)
        data = lines(DIALOGUES)
        ref = wire.DataRef(
            url=f"{store.url}/blobs/{store.put(data)}", sha256=store.put(data), size=len(data), format="chat",
            filename="train.jsonl", token=TOKEN,
        )  # fmt: skip
        spec = wire.TuneSpec(
            job_id=1, epoch=1, name="ftjob-1", method="scratch", adaptation="full", training=ref,
            hyper=wire.Hyper(steps=5, batch_size=batch_size), upload_url=f"{store.url}/uploads", organization="acme", token=TOKEN,
            model=wire.ScratchConfig(),
        )  # fmt: skip
        return Training(spec, tmp_path, Room(), Told(), GoOn()).run()  # type: ignore[arg-type]

    return run


def point(step: int) -> dict[str, Any]:
    points = [asdict(wire.Point(step=step, trained_tokens=10 * step))]
    return {"kind": "points", "points": points, "eta_s": 1.0, "epoch_done": 0.1}


@pytest.fixture
def done(tmp_path: Path) -> dict[str, Any]:
    (tmp_path / "result").mkdir()
    (tmp_path / "result" / "config.json").write_text("{}")
    (tmp_path / "metrics.csv").write_text("step\n5\n")
    return {
        "metrics": str(tmp_path / "metrics.csv"),
        "kind": "done", "folder": str(tmp_path / "result"), "files": {}, "step": 5, "trained_tokens": 50,
        "perplexity_before": None, "perplexity_after": None, "best_step": None,
    }  # fmt: skip


@pytest.mark.parametrize("last", [NO_MEMORY, KILLED], ids=["it says so", "the kernel kills it"])
def test_without_memory_half_as_many_are_trained_at_once(run: Any, done: dict[str, Any], last: dict[str, Any]) -> None:
    end = run([last], [point(1), done])
    assert end.status == "done"
    assert end.metrics_sha256
    assert [(task.hyper.batch_size, task.hyper.accumulation) for task in Script.tasks] == [(6, 1), (3, 2)]
    assert "Memory did not suffice for 6 examples" in end.notes[0]


def test_a_step_is_as_many_examples_as_before_where_the_half_is_none(run: Any, done: dict[str, Any]) -> None:
    run([NO_MEMORY], [done], batch_size=9)
    assert [(task.hyper.batch_size, task.hyper.accumulation) for task in Script.tasks] == [(9, 1), (3, 3)]


def test_without_memory_twice_it_fails_clearly(run: Any) -> None:
    end = run([NO_MEMORY], [NO_MEMORY])
    assert (end.status, end.error_code, end.error) == ("failed", "out_of_memory", "Too much.")


def test_one_example_cannot_be_halved(run: Any) -> None:
    assert run([NO_MEMORY], batch_size=1).error_code == "out_of_memory"


def test_a_child_that_makes_steps_may_die_as_often_as_it_will(run: Any, done: dict[str, Any]) -> None:
    end = run(*([point(step), KILLED] for step in range(1, 5)), [point(5), done])
    assert (end.status, end.step, end.notes) == ("done", 5, [])


def test_a_child_that_dies_without_a_step_is_given_up(run: Any) -> None:
    end = run([CRASHED], [CRASHED], [CRASHED])
    assert (end.status, end.error_code, end.is_ours, end.trained_tokens) == ("failed", "worker_failed", True, 0)
