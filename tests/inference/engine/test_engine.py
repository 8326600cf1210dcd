"""The engine against transformers' own ``generate``, and against itself in other company."""

from __future__ import annotations

import json
import random
import shutil
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import PreTrainedModel

from inference import wire
from inference.engine import Engine, InvalidRequest
from inference.errors import UnsupportedModel
from tests.inference.conftest import CONTEXT, VOCAB
from tests.inference.runs import Run, ask, collect, generated, serve, serve_one

PROMPTS = [[11, 22, 33, 44, 55], [99], [7, 8, 9] * 15, [200, 100, 300], list(range(20, 60))]


def random_prompt(rng: random.Random, longest: int = 60) -> list[int]:
    return [rng.randrange(3, VOCAB) for _ in range(rng.randrange(1, longest))]


@pytest.mark.parametrize("seed", range(3))
def test_greedy_tokens_equal_generate_whatever_arrives_beside_them(
    engine: Engine, model: PreTrainedModel, seed: int
) -> None:
    rng = random.Random(seed)
    requests = [ask(str(n), random_prompt(rng), max_tokens=rng.randrange(1, 60)) for n in range(10)]
    runs = {request.id: Run() for request in requests}
    line = list(requests)
    while line or engine.has_work:
        if line and rng.random() < 0.4:
            engine.submit(line.pop())
        collect(engine.step(), runs)
    for request in requests:
        expected = generated(model, request.prompt_ids, request.sampling.max_tokens)
        assert runs[request.id].tokens == expected


def test_rows_change_their_width_without_changing_a_token(folder: Path, model: PreTrainedModel) -> None:
    engine = Engine.load(folder, max_batch=4, max_step_tokens=64, kv_tokens=300)
    rng = random.Random(5)
    # Short ones share narrow rows; the long ones need wide rows, and wait until few enough are left.
    requests = [ask(str(n), random_prompt(rng, 20), max_tokens=70 if n % 3 == 2 else 15) for n in range(9)]
    runs = serve(engine, *requests)
    for request in requests:
        assert runs[request.id].tokens == generated(model, request.prompt_ids, request.sampling.max_tokens)


def test_a_seeded_run_does_not_depend_on_its_batch(engine: Engine) -> None:
    request = ask("a", PROMPTS[0], temperature=1.3, seed=42, max_tokens=40)
    alone = serve_one(engine, request)
    others = [ask(str(n), PROMPTS[n % 5], temperature=0.9, seed=n, top_p=0.8, max_tokens=30) for n in range(6)]
    assert serve(engine, *others, request)["a"].tokens == alone.tokens


def test_seeds_give_different_runs_and_the_same_seed_the_same(engine: Engine) -> None:
    tokens = [serve_one(engine, ask("a", PROMPTS[0], temperature=1.0, seed=seed)).tokens for seed in (1, 1, 2)]
    assert tokens[0] == tokens[1] != tokens[2]


@pytest.mark.parametrize("stop", [(), ("zzz", " ")])
def test_a_run_continued_after_any_token_is_the_run_that_would_have_been(engine: Engine, stop: tuple[str, ...]) -> None:
    settings = {"temperature": 1.2, "seed": 9, "top_k": 50, "max_tokens": 25, "stop": stop}
    whole = serve_one(engine, ask("whole", PROMPTS[0], **settings))
    for cut in range(len(whole.tokens)):
        rest = serve_one(engine, ask("rest", PROMPTS[0], heard=whole.tokens[:cut], **settings))
        assert rest.tokens == whole.tokens
        assert "".join(whole.texts[:cut]) + rest.text == whole.text
        assert (rest.end.finish_reason, rest.end.usage) == (whole.end.finish_reason, whole.end.usage)


def test_counts_are_exact_and_include_what_was_heard(engine: Engine) -> None:
    run = serve_one(engine, ask("a", PROMPTS[0], max_tokens=10))
    assert run.end.usage == wire.Usage(prompt_tokens=5, completion_tokens=len(run.tokens))
    rest = serve_one(engine, ask("b", PROMPTS[0], heard=run.tokens[:4], max_tokens=10))
    assert rest.end.usage == run.end.usage


def test_heard_tokens_that_reach_the_end_finish_at_once(engine: Engine) -> None:
    run = serve_one(engine, ask("a", PROMPTS[0], heard=[50, 51, 52], max_tokens=3))
    assert (run.end.finish_reason, run.end.index, run.end.token_ids) == ("length", 3, ())
    run = serve_one(engine, ask("b", PROMPTS[0], heard=[50, 1]))
    assert run.end.finish_reason == "stop"
    assert run.end.usage == wire.Usage(prompt_tokens=5, completion_tokens=2)


def test_the_end_token_stops_and_counts_and_shows_no_text(folder: Path) -> None:
    engine = Engine.load(folder)
    likeliest = serve_one(engine, ask("a", PROMPTS[0])).tokens
    engine.eos_ids = frozenset({likeliest[3]})
    run = serve_one(engine, ask("b", PROMPTS[0]))
    assert run.tokens == likeliest[:4]
    assert run.texts[-1] == ""
    assert run.end.finish_reason == "stop"
    assert run.end.stop_string is None


def test_a_stop_string_across_tokens_is_never_shown(engine: Engine) -> None:
    free = serve_one(engine, ask("a", PROMPTS[3], max_tokens=30))
    middle = len(free.text) // 2
    stop = free.text[middle : middle + 4]
    run = serve_one(engine, ask("b", PROMPTS[3], max_tokens=30, stop=("never said", stop)))
    assert run.text == free.text[: free.text.index(stop)]
    assert (run.end.finish_reason, run.end.stop_string) == ("stop", stop)
    assert run.tokens == free.tokens[: len(run.tokens)]


def test_text_held_back_for_a_stop_string_comes_at_the_end(engine: Engine) -> None:
    free = serve_one(engine, ask("a", PROMPTS[3], max_tokens=12))
    run = serve_one(engine, ask("b", PROMPTS[3], max_tokens=12, stop=(free.text[-2:] + "!",)))
    assert run.text == free.text
    assert run.end.finish_reason == "length"


def test_the_context_is_the_limit_of_every_run(engine: Engine) -> None:
    run = serve_one(engine, ask("a", [5] * (CONTEXT - 3), max_tokens=50))
    assert len(run.tokens) == 3
    assert run.end.finish_reason == "length"


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"prompt": []}, "prompt_ids"),
        ({"prompt": [5] * CONTEXT}, "prompt_ids"),
        ({"prompt": [VOCAB]}, "prompt_ids"),
        ({"prompt": [-1]}, "prompt_ids"),
        ({"heard": [VOCAB]}, "heard_ids"),
        ({"heard": [5] * CONTEXT}, "heard_ids"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"temperature": -1.0}, "temperature"),
        ({"temperature": float("nan")}, "temperature"),
        ({"top_p": 0.0}, "top_p"),
        ({"top_p": 1.1}, "top_p"),
        ({"top_k": -1}, "top_k"),
        ({"stop": ("",)}, "stop"),
        ({"logprobs": 21}, "logprobs"),
    ],
)
def test_a_request_that_cannot_be_served_is_refused_by_name(
    engine: Engine, change: dict[str, object], param: str
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        engine.submit(ask("a", **({"prompt": [5]} | change)))  # type: ignore[arg-type]
    assert caught.value.param == param
    assert not engine.has_work


def test_a_request_is_taken_once(engine: Engine) -> None:
    engine.submit(ask("a", [5]))
    with pytest.raises(InvalidRequest):
        engine.submit(ask("a", [6]))


def test_abort_ends_a_run_with_its_usage_and_others_go_on(engine: Engine) -> None:
    expected = serve_one(engine, ask("b", PROMPTS[1])).tokens
    runs = {"a": Run(), "b": Run()}
    engine.submit(ask("a", PROMPTS[0], max_tokens=60))
    engine.submit(ask("b", PROMPTS[1]))
    for _ in range(5):
        collect(engine.step(), runs)
    engine.abort("a")
    engine.abort("nobody")
    while engine.has_work:
        collect(engine.step(), runs)
    assert runs["a"].end.finish_reason == "abort"
    assert runs["a"].end.usage == wire.Usage(prompt_tokens=5, completion_tokens=len(runs["a"].tokens))
    assert runs["b"].tokens == expected


def test_abort_ends_a_run_that_still_waits(folder: Path) -> None:
    engine = Engine.load(folder, max_batch=1)
    runs = {"a": Run(), "b": Run()}
    engine.submit(ask("a", PROMPTS[0], max_tokens=5))
    engine.submit(ask("b", PROMPTS[1]))
    collect(engine.step(), runs)
    assert (engine.running, engine.waiting) == (1, 1)
    engine.abort("b")
    collect(engine.step(), runs)
    assert runs["b"].end.finish_reason == "abort"
    assert runs["b"].end.usage == wire.Usage(prompt_tokens=1, completion_tokens=0)


def test_a_deadline_ends_a_run_with_abort(engine: Engine) -> None:
    runs = {"a": Run(), "late": Run()}
    engine.submit(ask("late", PROMPTS[0], deadline_s=-1))
    engine.submit(ask("a", PROMPTS[0], max_tokens=100, deadline_s=0.05))
    collect(engine.step(), runs)
    assert runs["late"].end.finish_reason == "abort"
    time.sleep(0.06)
    collect(engine.step(), runs)
    assert runs["a"].end.finish_reason == "abort"
    assert not engine.has_work


def test_logprobs_are_the_models_own_before_temperature(engine: Engine, model: PreTrainedModel) -> None:
    run = serve_one(engine, ask("a", PROMPTS[0], temperature=2.0, seed=3, logprobs=3, max_tokens=4))
    logits = model(torch.tensor([PROMPTS[0] + run.tokens])).logits[0].log_softmax(-1)
    assert len(run.logprobs) == 4
    for position, told in enumerate(run.logprobs):
        row = logits[len(PROMPTS[0]) - 1 + position]
        assert told.token_id == run.tokens[position]
        assert told.logprob == pytest.approx(row[told.token_id].item(), abs=1e-4)
        values, ids = row.topk(3)
        assert [id_ for id_, _, _ in told.top] == ids.tolist()
        assert [p for _, _, p in told.top] == pytest.approx(values.tolist(), abs=1e-4)


def test_logprobs_are_only_for_who_asked(engine: Engine) -> None:
    runs = serve(engine, ask("a", PROMPTS[0], logprobs=0), ask("b", PROMPTS[0]))
    assert len(runs["a"].logprobs) == 20
    assert runs["a"].logprobs[0].top == ()
    assert runs["b"].logprobs == []


def test_numbers_that_are_not_finite_end_one_run_and_spare_the_next(folder: Path) -> None:
    engine = Engine.load(folder)
    expected = serve_one(engine, ask("a", PROMPTS[0])).tokens
    embedding = engine._runner.model.get_input_embeddings().weight.data  # type: ignore[no-untyped-call]
    kept, embedding[150] = embedding[150].clone(), float("nan")
    run = serve_one(engine, ask("bad", [150, 151, 152]))
    assert (run.end.finish_reason, run.end.error_code) == ("error", "bad_logits")
    embedding[150] = kept
    assert serve_one(engine, ask("b", PROMPTS[0])).tokens == expected


def test_a_folder_of_another_family_is_not_loaded(folder: Path, tmp_path: Path) -> None:
    release = Path(shutil.copytree(folder, tmp_path / "release"))
    config = json.loads((release / "config.json").read_text())
    (release / "config.json").write_text(json.dumps(config | {"architectures": ["T5ForConditionalGeneration"]}))
    with pytest.raises(UnsupportedModel, match="architectures"):
        Engine.load(release)


def test_weights_that_are_missing_are_not_made_up(folder: Path, tmp_path: Path) -> None:
    release = Path(shutil.copytree(folder, tmp_path / "release"))
    weights = load_file(release / "model.safetensors")
    lost = next(name for name in sorted(weights) if ".1." in name)
    kept = {name: tensor for name, tensor in weights.items() if name != lost}
    save_file(kept, release / "model.safetensors", {"format": "pt"})
    with pytest.raises(UnsupportedModel, match="lacks"):
        Engine.load(release)


def test_the_engine_says_what_it_is_and_has(engine: Engine) -> None:
    assert (engine.vocab_size, engine.context_length) == (VOCAB, CONTEXT)
    kv_bytes = (
        2 * 2 * 4 * CONTEXT * 32 * 4
    )  # keys and values, layers, rows, tokens, width, float32; half of it for the Llama
    assert kv_bytes // 2 < engine.memory_bytes < 4 * kv_bytes
    serve_one(engine, ask("a", PROMPTS[0]))
    assert engine.tokens_per_s > 0
    assert (engine.running, engine.waiting, engine.has_work) == (0, 0, False)
