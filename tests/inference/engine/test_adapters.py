"""Adapters in the engine of their base: many in one batch, each run as if it were alone."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, PreTrainedModel

from inference.engine import Engine, InvalidRequest, Request
from tests.inference.runs import Run as Heard
from tests.inference.runs import ask, collect, generated, serve, serve_one
from tests.tiny_families import GENERATORS, VOCAB, tiny_model, write_adapter, write_family

MAKE: dict[str, dict[str, Any]] = {  # of one shape, of another rank, of other layers
    "one": {"target_modules": "all-linear", "seed": 1},
    "two": {"target_modules": "all-linear", "r": 3, "seed": 2},
    "wide": {"target_modules": "all-linear", "r": 12, "lora_alpha": 6, "seed": 3},
}


@pytest.fixture(scope="module", params=list(GENERATORS))
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def base(family: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_family(tmp_path_factory.mktemp("bases") / family, family)


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_family(tmp_path_factory.mktemp("bases") / "gpt2", "gpt2")


@pytest.fixture
def engine(gpt2: Path, tmp_path: Path) -> Engine:
    """A GPT-2 with the adapters "one" and "two"."""
    made = Engine.load(gpt2, max_batch=4, max_step_tokens=24)
    for name in ("one", "two"):
        write_adapter(tmp_path / name, gpt2, **MAKE[name])
        made.add_adapter(name, tmp_path / name)
    return made


def say(id_: str, adapter: str | None, prompt: list[int], **sampling: Any) -> Request:
    return replace(ask(id_, prompt, **sampling), adapter=adapter)


def peft_model(base: Path, adapter: Path) -> PreTrainedModel:
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32).eval()
    made: PreTrainedModel = PeftModel.from_pretrained(model, str(adapter)).eval().base_model.model
    return made


def change_weights(adapter: Path, change: Callable[[torch.Tensor], torch.Tensor]) -> None:
    file = adapter / "adapter_model.safetensors"
    save_file({name: change(tensor) for name, tensor in load_file(file).items()}, file)


def test_a_batch_of_many_adapters_and_none_says_what_peft_says_of_each(family: str, base: Path, tmp_path: Path) -> None:
    engine = Engine.load(base, max_batch=5, max_step_tokens=24)  # so that prompts are cut, and rows move
    models: dict[str | None, PreTrainedModel] = {None: tiny_model(family)}
    merged: dict[str | None, PreTrainedModel] = {}
    for name, config in MAKE.items():
        merged[name] = write_adapter(tmp_path / name, base, **config)
        models[name] = peft_model(base, tmp_path / name)
        engine.add_adapter(name, tmp_path / name)
    for model in (*models.values(), *merged.values()):
        model.set_attn_implementation("eager")
    rng = random.Random(1)
    requests = [
        say(str(n), [None, *MAKE][n % 4], [rng.randrange(3, VOCAB) for _ in range(rng.randrange(1, 40))], max_tokens=4 + 3 * n)
        for n in range(9)
    ]  # fmt: skip
    runs = serve(engine, *requests)
    for request in requests:
        expected = generated(models[request.adapter], request.prompt_ids, request.sampling.max_tokens)
        assert runs[request.id].tokens == expected, request.adapter
        if request.adapter:
            assert expected == generated(merged[request.adapter], request.prompt_ids, request.sampling.max_tokens)


def test_each_says_in_a_batch_what_it_says_alone(engine: Engine, gpt2: Path) -> None:
    prompt = [5, 60, 7, 123]
    requests = [say(str(n), adapter, prompt) for n, adapter in enumerate([None, "one", "two", "one", None, "two"])]
    together = serve(engine, *requests)
    alone = {adapter: serve_one(engine, say("alone", adapter, prompt)).tokens for adapter in (None, "one", "two")}
    assert {r.id: together[r.id].tokens for r in requests} == {r.id: alone[r.adapter] for r in requests}
    assert len({tuple(tokens) for tokens in alone.values()}) == 3
    assert alone[None] == serve_one(Engine.load(gpt2, max_batch=2), ask("x", prompt)).tokens


def test_a_run_goes_on_elsewhere_with_its_adapter(engine: Engine) -> None:
    request = say("whole", "one", [5, 60, 7], temperature=0.8, seed=4, max_tokens=30)
    whole = serve_one(engine, request)
    rest = serve_one(engine, replace(request, id="rest", heard_ids=whole.tokens[:11]))
    assert rest.tokens == whole.tokens


def test_a_text_is_scored_by_the_adapter(engine: Engine, gpt2: Path, tmp_path: Path) -> None:
    ids = [5, 60, 7, 123, 9, 44]
    run = serve_one(engine, replace(say("score", "two", ids), task="score"))
    with torch.inference_mode():
        logits = peft_model(gpt2, tmp_path / "two")(torch.tensor([ids])).logits[0]
    expected = logits.log_softmax(-1)[:-1].gather(1, torch.tensor(ids[1:]).unsqueeze(1)).squeeze(1)
    assert run.end.scores == pytest.approx(expected.tolist(), abs=1e-4)


def test_an_adapter_that_is_removed_ends_its_runs_as_they_would_have_ended(engine: Engine) -> None:
    expected = serve_one(engine, say("before", "one", [5, 6])).tokens
    runs = {"during": Heard()}
    engine.submit(say("during", "one", [5, 6]))
    for _ in range(5):
        collect(engine.step(), runs)
    engine.remove_adapter("one")
    with pytest.raises(InvalidRequest, match="not here"):
        engine.submit(say("after", "one", [5, 6]))
    while engine.has_work:
        collect(engine.step(), runs)
    assert runs["during"].tokens == expected
    engine.remove_adapter("one")  # nothing to remove is no error


def test_an_adapter_brings_its_own_tokenizer_and_end(engine: Engine, gpt2: Path, tmp_path: Path) -> None:
    said = serve_one(engine, say("a", "one", [5, 60, 7]))
    own = tmp_path / "one"
    (own / "generation_config.json").write_text(json.dumps({"eos_token_id": said.tokens[3]}))
    (own / "config.json").write_text('{"eos_token_id": 43, "vocab_size": 7}')
    tokenizer = json.loads((gpt2 / "tokenizer.json").read_text())
    tokenizer["added_tokens"] = [{**token, "special": False} for token in tokenizer["added_tokens"]]
    (own / "tokenizer.json").write_text(json.dumps(tokenizer))
    engine.add_adapter("spoken", own)
    assert (
        serve_one(engine, say("b", "spoken", [5, 60, 7])).tokens == said.tokens[: said.tokens.index(said.tokens[3]) + 1]
    )
    assert serve_one(engine, say("c", "one", [5, 60, 7])).tokens == said.tokens
    assert engine.eos_ids == {1}


def test_an_adapter_that_computes_what_is_not_finite_ends_its_own_runs_only(
    engine: Engine, gpt2: Path, tmp_path: Path
) -> None:
    write_adapter(tmp_path / "wild", gpt2, **MAKE["one"])
    change_weights(tmp_path / "wild", lambda tensor: tensor * 1e36)
    engine.add_adapter("wild", tmp_path / "wild")
    expected = {name: serve_one(engine, say("alone", name, [5, 60, 7])).tokens for name in (None, "one")}
    runs = serve(engine, *(say(str(name), name, [5, 60, 7]) for name in (None, "wild", "one")))
    assert runs["wild"].end.error_code == "bad_logits"
    assert {name: runs[str(name)].tokens for name in (None, "one")} == expected


def test_its_memory_is_counted(engine: Engine, gpt2: Path, tmp_path: Path) -> None:
    sizes = [tensor.nbytes for tensor in load_file(tmp_path / "one" / "adapter_model.safetensors").values()]
    before = engine.memory_bytes
    assert sum(sizes) < engine.add_adapter("again", tmp_path / "one") <= 3 * sum(sizes)
    assert engine.memory_bytes == before, "the base is counted apart"
