"""Every family against transformers' own ``generate``: in batches of mixed lengths, and when a run goes on elsewhere."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from transformers import PreTrainedModel

from inference.engine import Engine
from inference.errors import UnsupportedModel
from tests.inference.runs import ask, generated, serve, serve_one
from tests.tiny_families import CONTEXT, ENCODERS, GENERATORS, VOCAB, WINDOW, tiny_model, write_family


@pytest.fixture(scope="module", params=list(GENERATORS))
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def folder(family: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_family(tmp_path_factory.mktemp("families") / family, family)


@pytest.fixture(scope="module")
def model(family: str) -> PreTrainedModel:
    made = tiny_model(family)
    made.set_attn_implementation("eager")  # torch's own knows no soft-capping
    return made


def prompts(seed: int, count: int) -> list[list[int]]:
    rng = random.Random(seed)
    return [[rng.randrange(3, VOCAB) for _ in range(rng.randrange(1, 4 * WINDOW))] for _ in range(count)]


def test_greedy_tokens_equal_generate_in_a_batch_of_mixed_lengths(folder: Path, model: PreTrainedModel) -> None:
    engine = Engine.load(folder, max_batch=4, max_step_tokens=24)  # so that prompts are cut, and rows move
    requests = [ask(str(n), prompt, max_tokens=5 + 9 * n) for n, prompt in enumerate(prompts(1, 7))]
    runs = serve(engine, *requests)
    expected = {r.id: generated(model, r.prompt_ids, r.sampling.max_tokens) for r in requests}
    assert {id_: run.tokens for id_, run in runs.items()} == expected
    assert len({token for run in runs.values() for token in run.tokens}) > 10, "the model says something"


def test_a_run_goes_on_elsewhere_with_the_tokens_that_would_have_been(folder: Path) -> None:
    prompt = prompts(2, 1)[0] + [7] * WINDOW
    whole = serve_one(Engine.load(folder, max_batch=2), ask("whole", prompt, max_tokens=40))
    for heard in (1, len(whole.tokens) // 2):
        engine = Engine.load(folder, max_batch=2, max_step_tokens=16)
        request = ask("rest", prompt, heard=whole.tokens[:heard], max_tokens=40)
        assert serve_one(engine, request).tokens == whole.tokens


def test_a_window_that_is_left_changes_what_is_said(tmp_path: Path) -> None:
    """The test above would pass where no window is ever used; this one would not."""
    prompt = prompts(3, 1)[0][:4] + [9] * (2 * WINDOW)
    other = [prompt[0] + 1, *prompt[1:]]
    folder = write_family(tmp_path / "mistral", "mistral")
    engine = Engine.load(folder, max_batch=4)
    sliding = serve(engine, ask("a", prompt, max_tokens=1, logprobs=0), ask("b", other, max_tokens=1, logprobs=0))
    assert sliding["a"].logprobs[0].logprob == pytest.approx(sliding["b"].logprobs[0].logprob, abs=1e-5)


def test_the_whole_context_is_used(folder: Path, model: PreTrainedModel) -> None:
    prompt = prompts(4, 1)[0] * 20
    request = ask("long", prompt[: CONTEXT - 10], max_tokens=50)
    run = serve_one(Engine.load(folder, max_batch=2), request)
    assert run.tokens == generated(model, request.prompt_ids, 10)


@pytest.mark.parametrize("encoder", list(ENCODERS))
def test_an_encoder_is_no_engine(encoder: str, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedModel, match="generates none"):
        Engine.load(write_family(tmp_path / encoder, encoder))
