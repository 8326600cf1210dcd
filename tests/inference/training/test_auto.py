"""What "auto" means, and what is refused by name."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from inference.errors import InvalidRequest
from inference.training.auto import Facts, most_tokens, resolve, resolve_shape, steps_of
from inference.training.shape import architecture_of_shape

FACTS = Facts(
    method="supervised", adaptation="lora", examples=1000, tokens=200_000, parameters=6_000_000, context_length=512, longest=300
)  # fmt: skip


def test_nothing_asked_is_all_computed() -> None:
    hyper = resolve({}, FACTS)
    assert (hyper.epochs, hyper.steps, hyper.packing) == (3.0, None, False)
    assert hyper.batch_size == 16
    assert (hyper.rank, hyper.alpha) == (16, 32.0)
    assert hyper.max_length == 300  # the longest example: nothing is cut off
    assert hyper.split == 0.05
    assert 0 < hyper.eval_every < steps_of(hyper, FACTS)


def test_auto_and_none_are_as_if_not_asked() -> None:
    assert resolve({"epochs": "auto", "batch_size": None, "learning_rate": "auto"}, FACTS) == resolve({}, FACTS)


def test_what_is_asked_is_kept() -> None:
    asked = {"epochs": 2, "batch_size": 3, "learning_rate": 1e-3, "rank": 4, "targets": ["c_attn", "c_proj"], "seed": 7}
    hyper = resolve(asked, FACTS)
    assert (hyper.epochs, hyper.batch_size, hyper.learning_rate, hyper.seed) == (2.0, 3, 1e-3, 7)
    assert (hyper.rank, hyper.alpha, hyper.targets) == (4, 8.0, "c_attn,c_proj")


def test_a_multiplier_is_of_the_computed_learning_rate() -> None:
    assert resolve({"learning_rate_multiplier": 2}, FACTS).learning_rate == 2 * resolve({}, FACTS).learning_rate


def test_a_larger_model_learns_more_slowly_and_full_weights_more_slowly_than_lora() -> None:
    small, large = (resolve({}, replace(FACTS, parameters=n)).learning_rate for n in (6_000_000, 7_000_000_000))
    full = resolve({}, replace(FACTS, adaptation="full")).learning_rate
    assert large == 2e-4
    assert small > large
    assert full == pytest.approx(small / 10, rel=0.01)


@pytest.mark.parametrize(("examples", "epochs"), [(10, 10.0), (20, 5.0), (50, 3.0), (100_000, 3.0)])
def test_few_examples_are_read_more_often(examples: int, epochs: float) -> None:
    assert resolve({}, replace(FACTS, examples=examples)).epochs == epochs


def test_steps_stand_in_for_epochs() -> None:
    hyper = resolve({"steps": 50}, FACTS)
    assert (hyper.epochs, hyper.steps, steps_of(hyper, FACTS)) == (None, 50, 50)


def test_a_validation_file_leaves_the_training_file_whole() -> None:
    assert resolve({}, replace(FACTS, has_validation=True)).split == 0.0
    assert resolve({}, replace(FACTS, examples=19)).split == 0.0


def test_text_is_packed() -> None:
    hyper = resolve({}, replace(FACTS, method="text", examples=1, longest=200_000))
    assert hyper.packing
    assert hyper.max_length == 512
    assert hyper.batch_size == 8


def test_the_most_that_can_be_trained_is_known_before() -> None:
    assert most_tokens(resolve({"epochs": 2.5}, FACTS), FACTS) == 500_000
    hyper = resolve({"steps": 10, "batch_size": 2, "accumulation": 3}, FACTS)
    assert most_tokens(hyper, FACTS) == 10 * 2 * 3 * 300


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({"epochs": 0}, "epochs"),
        ({"epochs": True}, "epochs"),
        ({"epochs": 1, "steps": 5}, "steps"),
        ({"batch_size": 1.5}, "batch_size"),
        ({"batch_size": float("nan")}, "batch_size"),
        ({"learning_rate": "fast"}, "learning_rate"),
        ({"learning_rate": float("nan")}, "learning_rate"),
        ({"learning_rate": 1e-3, "learning_rate_multiplier": 2}, "learning_rate_multiplier"),
        ({"schedule": "zigzag"}, "schedule"),
        ({"optimizer": "lion"}, "optimizer"),
        ({"max_length": 513}, "max_length"),
        ({"packing": "yes"}, "packing"),
        ({"targets": "c_attn|.*"}, "targets"),
        ({"seed": -1}, "seed"),
        ({"momentum": 0.9}, "momentum"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(asked: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        resolve(asked, FACTS)
    assert refused.value.param == param


def test_pairs_are_not_packed() -> None:
    with pytest.raises(InvalidRequest, match="packed"):
        resolve({"packing": True}, replace(FACTS, method="dpo"))


@pytest.mark.parametrize("tokens", [1_000, 1_000_000, 100_000_000])
@pytest.mark.parametrize("architecture", ["gpt2", "llama"])
def test_a_model_from_nothing_is_as_large_as_its_data(tokens: int, architecture: str) -> None:
    shape = resolve_shape({"architecture": architecture}, tokens=tokens)
    made = architecture_of_shape(shape)
    assert (made.vocab_size, made.context_length) == (shape.vocab_size, shape.context_length)
    assert made.parameters > resolve_shape({"architecture": architecture, "layers": 1}, tokens=1).layers


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({"width": 100, "heads": 3}, "heads"),
        ({"width": 12, "heads": 4, "architecture": "llama"}, "heads"),
        ({"vocab_size": 100}, "vocab_size"),
        ({"architecture": "mamba"}, "architecture"),
        ({"experts": 8}, "experts"),
    ],
)
def test_a_shape_that_makes_no_sense_is_refused_by_name(asked: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        resolve_shape(asked, tokens=1_000_000)
    assert refused.value.param == param
