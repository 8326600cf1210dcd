"""A training that was interrupted is the training that would have been."""

from __future__ import annotations

import errno
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from inference.training import session
from inference.training.metrics import METRICS
from inference.training.session import DiskFull
from inference.training.state import STATE
from tests.inference.training.heard import PAIRS, Heard, data_file, task_of, trained


def weights_of(heard: Heard) -> dict[str, torch.Tensor]:
    folder = Path(heard.last["folder"])
    return {name: tensor for file in folder.glob("*.safetensors") for name, tensor in load_file(file).items()}


def in_pieces(task: Any, *, steps: int) -> tuple[Heard, int]:
    """Stops it after every ``steps`` steps, and goes on from the checkpoint in another folder, as another worker would."""
    pieces = 0
    while True:
        heard = trained(task, stop_after=task_step(task) + steps)
        pieces += 1
        if heard.last["kind"] == "done":
            return heard, pieces
        assert heard.last["kind"] == "stopped"
        resume = Path(heard.all("checkpoint")[-1]["folder"])
        assert not [
            item for item in resume.iterdir() if item.suffix not in (".safetensors", ".json", ".jinja", ".txt", ".csv")
        ]
        out = task.out.with_name(f"out-{pieces}")
        out.mkdir()
        task = replace(task, resume=resume, out=out)


def task_step(task: Any) -> int:
    return int(task.resume.name.rpartition("-")[2]) if task.resume else 0


@pytest.mark.parametrize(
    "changes",
    [
        {"hyper": {"dropout": 0.2, "split": 0.1, "eval_every": 2}},
        {"adaptation": "full", "hyper": {"learning_rate": 1e-3, "accumulation": 2, "batch_size": 2}},
        {"hyper": {"optimizer": "adafactor", "schedule": "linear", "warmup": 3}},
        {"method": "dpo", "hyper": {"epochs": 4}},
    ],
    ids=["lora", "full", "adafactor", "dpo"],
)
def test_it_ends_with_the_same_weights_however_often_it_was_interrupted(
    tmp_path: Path, base: Path, changes: dict[str, Any]
) -> None:
    if changes.get("method") == "dpo":
        changes |= {"training": data_file(tmp_path / "pairs.jsonl", PAIRS, "preference")}
    whole = trained(task_of(tmp_path / "whole", base, **changes))
    pieced, pieces = in_pieces(task_of(tmp_path / "pieces", base, **changes), steps=3)
    assert pieces >= 3
    for name in ("step", "trained_tokens", "best_step", "perplexity_before"):
        assert pieced.last[name] == whole.last[name]
    lines = Path(pieced.last["metrics"]).read_text().splitlines()
    assert [line.partition(",")[0] for line in lines] == [
        line.partition(",")[0] for line in Path(whole.last["metrics"]).read_text().splitlines()
    ]
    one, other = weights_of(whole), weights_of(pieced)
    assert one.keys() == other.keys()
    for name, tensor in one.items():
        torch.testing.assert_close(other[name], tensor, rtol=1e-5, atol=1e-6)


def test_fewer_examples_at_once_are_the_same_steps(tmp_path: Path, plain_base: Path) -> None:
    """As after a lack of memory: half the batch, twice the accumulation, from the checkpoint on."""
    task = task_of(tmp_path, plain_base)
    whole = trained(task)
    first = trained(replace(task, out=tmp_path), stop_after=4)
    resume = Path(first.all("checkpoint")[-1]["folder"])
    halved = replace(task.hyper, batch_size=2, accumulation=2)
    heard = trained(replace(task, hyper=halved, resume=resume))
    assert (heard.last["step"], heard.last["trained_tokens"]) == (whole.last["step"], whole.last["trained_tokens"])
    assert heard.losses[-1] == pytest.approx(whole.losses[-1], rel=1e-3)


def test_a_checkpoint_is_a_model_and_what_is_needed_to_go_on(tmp_path: Path, base: Path) -> None:
    heard = trained(task_of(tmp_path, base, hyper={"checkpoint_every": 3}))
    made = heard.all("checkpoint")
    assert [said["step"] for said in made] == [3, 6, 9]
    names = {item.name for item in Path(made[0]["folder"]).iterdir()}
    assert names == {*made[0]["model_files"], STATE, METRICS}
    assert "adapter_model.safetensors" in made[0]["model_files"]


def test_a_full_disk_is_said_and_tried_again(tmp_path: Path, base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = session.save_state
    tries: list[int] = []

    def full_once(*args: Any, **options: Any) -> None:
        tries.append(1)
        if len(tries) == 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(*args, **options)

    monkeypatch.setattr(session, "save_state", full_once)
    heard = trained(task_of(tmp_path, base, hyper={"checkpoint_every": 3}))
    assert "disk was full" in heard.all("note")[0]["text"]
    assert [said["step"] for said in heard.all("checkpoint")] == [6, 9]
    assert heard.last["kind"] == "done"


def test_a_disk_that_stays_full_ends_it(tmp_path: Path, base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: Any, **options: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(session, "save_state", full)
    with pytest.raises(DiskFull):
        trained(task_of(tmp_path, base, hyper={"checkpoint_every": 1}))
    assert list((tmp_path / "out").glob("checkpoint-*")) == []
