"""Every method trains, says what it does, and leaves a release that passes the checks and is served."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from inference import wire
from inference.engine import Engine, Request
from inference.errors import InferenceError, InvalidRequest
from inference.manifest import check_adapter, inspect_folder
from inference.training.data import BadData
from inference.training.run import failure_of
from inference.training.session import Diverged
from inference.wire import ScratchConfig
from tests.inference.training.heard import DIALOGUES, PAIRS, data_file, task_of, trained

TEXT = [{"text": "The quick brown fox jumps over the lazy dog, and that is the question of the fox. " * 6}] * 4


def answer_of(folder: Path, base: Path | None) -> list[int]:
    engine = Engine.load(base or folder, max_batch=1)
    if base:
        engine.add_adapter("adapter", folder)
    engine.submit(
        Request(
            id="x",
            prompt_ids=[40, 41, 42],
            heard_ids=[],
            sampling=wire.Sampling(max_tokens=12, temperature=0.0),
            deadline=2**33,
            adapter="adapter" if base else None,
        )
    )
    tokens: list[int] = []
    while engine.has_work:
        for output in engine.step():
            tokens += output.token_ids
    return tokens


def test_an_adapter_learns_passes_the_checks_and_changes_the_answers(tmp_path: Path, base: Path) -> None:
    heard = trained(
        task_of(tmp_path, base, hyper={"split": 0.1, "eval_every": 2, "epochs": 4}, sample_prompts=["What is 7?"])
    )
    assert heard.last["kind"] == "done"
    assert heard.losses[-1] < heard.losses[0]
    assert heard.last["perplexity_after"] < heard.last["perplexity_before"]
    assert [point.step for point in heard.points] == list(range(heard.last["step"] + 1))
    assert {sample.step for sample in heard.answers} == {
        point.step for point in heard.points if point.val_loss is not None
    }
    folder = Path(heard.last["folder"])
    report = inspect_folder(folder)
    assert report.problems == ()
    assert report.adapter is not None
    assert (report.adapter.base_name, report.adapter.base_digest) == ("acme/bard", f"sha256:{1:064x}")
    assert check_adapter(report.adapter, json.loads((base / "config.json").read_text())) == []
    assert answer_of(folder, base) != answer_of(base, None)


def test_full_weights_learn_pass_the_checks_and_are_served(tmp_path: Path, base: Path) -> None:
    heard = trained(task_of(tmp_path, base, adaptation="full", hyper={"learning_rate": 1e-3}))
    assert heard.losses[-1] < heard.losses[0]
    folder = Path(heard.last["folder"])
    assert inspect_folder(folder).problems == ()
    assert answer_of(folder, None) != answer_of(base, None)


@pytest.mark.parametrize("adaptation", ["lora", "full"])
def test_preferences_are_learned(tmp_path: Path, base: Path, adaptation: str) -> None:
    training = data_file(tmp_path / "pairs.jsonl", PAIRS, "preference")
    hyper = {"epochs": 6, "learning_rate": 1e-2 if adaptation == "lora" else 1e-3, "split": 0.2}
    heard = trained(task_of(tmp_path, base, method="dpo", adaptation=adaptation, training=training, hyper=hyper))
    assert heard.losses[0] == pytest.approx(math.log(2), abs=1e-3)  # the policy is the reference yet
    assert heard.losses[-1] < heard.losses[0]
    assert heard.points[-1].val_accuracy == 1.0
    assert inspect_folder(Path(heard.last["folder"])).problems == ()


def test_a_text_is_gone_on_with(tmp_path: Path, base: Path) -> None:
    training = data_file(tmp_path / "text.jsonl", TEXT, "text")
    heard = trained(task_of(tmp_path, base, method="text", training=training, hyper={"packing": True, "split": 0.1}))
    assert heard.losses[-1] < heard.losses[0]
    assert heard.last["perplexity_after"] < heard.last["perplexity_before"]


@pytest.mark.parametrize("architecture", ["gpt2", "llama"])
def test_a_model_from_nothing_passes_the_checks_and_is_served(tmp_path: Path, architecture: str) -> None:
    shape = ScratchConfig(architecture=architecture, layers=1, width=32, heads=2, context_length=64, vocab_size=320)  # type: ignore[arg-type]
    training = data_file(tmp_path / "text.jsonl", TEXT, "text")
    heard = trained(
        task_of(
            tmp_path, None, method="scratch", adaptation="full", training=training, model=shape, hyper={"epochs": 4}
        )
    )
    assert heard.losses[-1] < heard.losses[0]
    folder = Path(heard.last["folder"])
    assert inspect_folder(folder).problems == ()
    assert len(answer_of(folder, None)) > 0


def test_an_adapter_is_gone_on_with_on_the_same_base(tmp_path: Path, base: Path) -> None:
    first = Path(trained(task_of(tmp_path / "1", base)).last["folder"])
    again = trained(task_of(tmp_path / "2", base, adapter=first, hyper={"learning_rate": 1e-3}))
    assert again.losses[0] < 0.9 * trained(task_of(tmp_path / "3", base, hyper={"steps": 1, "epochs": None})).losses[0]
    assert inspect_folder(Path(again.last["folder"])).problems == ()


def test_packing_trains_the_same_tokens_to_the_same_loss(tmp_path: Path, plain_base: Path) -> None:
    """One step over all examples: however they lie in rows, none sees another."""
    losses = []
    for number, packing in enumerate((False, True)):
        hyper = {"packing": packing, "steps": 1, "epochs": None, "batch_size": 20}
        heard = trained(task_of(tmp_path / str(number), plain_base, hyper=hyper))
        losses.append(heard.losses[0])
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)


def test_accumulated_batches_are_one_step(tmp_path: Path, plain_base: Path) -> None:
    losses = []
    for number, (batch, accumulation) in enumerate(((8, 1), (2, 4))):
        hyper = {"batch_size": batch, "accumulation": accumulation}
        losses.append(trained(task_of(tmp_path / str(number), plain_base, hyper=hyper)).losses)
    assert losses[1] == pytest.approx(losses[0], rel=1e-3)


def test_a_turn_of_no_weight_is_not_learned(tmp_path: Path, base: Path) -> None:
    dialogue = [
        {"role": "user", "content": "What?"},
        {"role": "assistant", "content": "Nothing of this shall be learned at all.", "weight": 0},
        {"role": "user", "content": "And?"},
        {"role": "assistant", "content": "This."},
    ]
    training = data_file(tmp_path / "weights.jsonl", [{"messages": dialogue}], "chat")
    task = task_of(tmp_path, base, training=training, hyper={"epochs": None, "steps": 1, "max_length": 128})
    whole = [{key: value for key, value in message.items() if key != "weight"} for message in dialogue]
    other = replace(task, out=tmp_path, training=data_file(tmp_path / "whole.jsonl", [{"messages": whole}], "chat"))
    assert trained(task).losses[0] != pytest.approx(trained(other).losses[0], rel=1e-3)


@pytest.mark.parametrize("optimizer", ["adam", "sgd", "adafactor"])
def test_other_optimizers_train(tmp_path: Path, base: Path, optimizer: str) -> None:
    rate = 0.5 if optimizer == "sgd" else 5e-3
    heard = trained(task_of(tmp_path, base, hyper={"optimizer": optimizer, "learning_rate": rate}))
    assert heard.losses[-1] < heard.losses[0]


def test_bfloat16_trains(tmp_path: Path, base: Path) -> None:
    heard = trained(task_of(tmp_path, base, hyper={"precision": "bfloat16"}))
    assert heard.losses[-1] < heard.losses[0]
    weights = load_file(Path(heard.last["folder"]) / "adapter_model.safetensors")
    assert {tensor.dtype for tensor in weights.values()} == {torch.float32}


def test_it_ends_within_the_tokens_that_were_paid(tmp_path: Path, base: Path) -> None:
    whole = trained(task_of(tmp_path / "1", base))
    heard = trained(task_of(tmp_path / "2", base, token_limit=whole.last["trained_tokens"] - 1))
    assert heard.last["step"] == whole.last["step"] - 1
    assert heard.last["trained_tokens"] < whole.last["trained_tokens"]
    assert heard.all("note")


def test_all_tokens_of_all_passes_are_counted(tmp_path: Path, base: Path) -> None:
    once = trained(task_of(tmp_path / "1", base, hyper={"epochs": 1})).last["trained_tokens"]
    assert trained(task_of(tmp_path / "3", base, hyper={"epochs": 3})).last["trained_tokens"] == 3 * once


def test_it_stops_early_and_the_result_is_the_best_checkpoint(tmp_path: Path, base: Path) -> None:
    hyper = {
        "split": 0.2,
        "eval_every": 1,
        "epochs": 50,
        "learning_rate": 0.05,
        "early_stopping_patience": 3,
        "schedule": "constant",
    }
    heard = trained(task_of(tmp_path, base, hyper=hyper))
    best = heard.last["best_step"]
    assert heard.last["step"] == best + 3
    assert "early" in heard.all("note")[0]["text"]
    checkpoint = next(said for said in heard.all("checkpoint") if said["step"] == best)
    assert checkpoint["is_best"]
    assert set(heard.last["files"]) == set(checkpoint["model_files"])


def test_a_learning_rate_that_diverges_stops_it(tmp_path: Path, base: Path) -> None:
    hyper = {"learning_rate": 1e3, "clip": 0.0, "optimizer": "sgd", "warmup": 0, "epochs": 20, "checkpoint_every": 1}
    with pytest.raises(Diverged) as diverged:
        trained(task_of(tmp_path, base, adaptation="full", hyper=hyper))
    code, sentence = failure_of(diverged.value)
    assert code == "diverged"
    assert "learning rate" in sentence


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"adaptation": "qlora"}, "adaptation"),
        ({"hyper": {"optimizer": "adamw_8bit"}}, "optimizer"),
        ({"hyper": {"precision": "float16"}}, "precision"),
        ({"hyper": {"max_length": 8}}, "max_length"),
        ({"token_limit": 3}, "token_limit"),
    ],
)
def test_what_cannot_be_done_here_is_refused_by_name(
    tmp_path: Path, base: Path, changes: dict[str, object], param: str
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        trained(task_of(tmp_path, base, **changes))
    assert refused.value.param == param
    assert failure_of(refused.value)[0] == "invalid_hyperparameters"


def test_a_bad_line_is_named(tmp_path: Path, base: Path) -> None:
    training = data_file(tmp_path / "bad.jsonl", [*DIALOGUES, {"messages": []}], "chat")
    with pytest.raises(BadData) as refused:
        trained(task_of(tmp_path, base, training=training))
    code, sentence = failure_of(refused.value)
    assert code == "invalid_data"
    assert f"line {len(DIALOGUES) + 1}" in sentence


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (MemoryError(), "out_of_memory"),
        (
            RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
            "out_of_memory",
        ),
        (torch.OutOfMemoryError("CUDA out of memory."), "out_of_memory"),
        (KeyError("x"), "worker_failed"),
        (InferenceError("x"), "inference_error"),
    ],
)
def test_every_failure_has_a_code(error: Exception, code: str) -> None:
    found, sentence = failure_of(error)
    assert found == code
    assert sentence.endswith(".")
