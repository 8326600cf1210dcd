"""Encoders, against transformers' own, one text at a time; and the engine that serves them."""

from __future__ import annotations

import base64
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import PreTrainedModel

from inference.engine import EngineLoop, InvalidRequest, Output, Request
from inference.errors import UnsupportedModel
from inference.tasks import Encoder, EncoderEngine, load_engine
from inference.wire import Sampling, Usage
from tests.tiny_families import CONTEXT, ENCODERS, VOCAB, tiny_model, write_family
from tests.waiting import await_that

TEXTS = [[2, 20, 30, 40, 3], [2, 3], [2, *range(50, 90), 3], [2, 99, 3]]
MASK = 4


@pytest.fixture(scope="module", params=list(ENCODERS))
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def folder(family: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_family(tmp_path_factory.mktemp("encoders") / family, family)


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_family(tmp_path_factory.mktemp("encoders") / "bert", "bert")


@pytest.fixture
def engine(bert: Path) -> EncoderEngine:
    return EncoderEngine(Encoder(bert), max_step_tokens=64)


def request(texts: list[list[int]], *, id_: str = "a", deadline_s: float = 600) -> Request:
    return Request(
        id=id_, prompt_ids=[token for text in texts for token in text], heard_ids=[], sampling=Sampling(max_tokens=1),
        deadline=time.time() + deadline_s, task="embed", lengths=[len(text) for text in texts],
    )  # fmt: skip


def run(engine: EncoderEngine) -> list[Output]:
    outputs = []
    while engine.has_work:
        outputs += engine.step()
    return outputs


def vectors_of(output: Output, texts: int) -> np.ndarray:
    assert output.embedding is not None
    return np.frombuffer(base64.b64decode(output.embedding), dtype="<f4").reshape(texts, -1)


def mean_of(model: PreTrainedModel, text: list[int]) -> torch.Tensor:
    """The vector of one text by itself, by transformers alone."""
    with torch.no_grad():
        mean = model.base_model(torch.tensor([text])).last_hidden_state[0].mean(dim=0)
    return mean / mean.norm()


def test_the_vectors_of_a_batch_are_those_of_each_text_by_itself(folder: Path, family: str) -> None:
    expected = torch.stack([mean_of(tiny_model(family), text) for text in TEXTS])
    assert torch.allclose(Encoder(folder).embed(TEXTS), expected, atol=1e-5)


def test_the_engine_answers_with_all_vectors_in_order_and_counts_the_tokens(engine: EncoderEngine, bert: Path) -> None:
    alone = Encoder(bert).embed(TEXTS)
    engine.submit(request(TEXTS, id_="a"))
    engine.submit(request(TEXTS[:1], id_="b"))
    ends = {output.id: output for output in run(engine)}
    assert np.allclose(vectors_of(ends["a"], len(TEXTS)), alone.numpy(), atol=1e-5)
    assert np.allclose(vectors_of(ends["b"], 1), alone[:1].numpy(), atol=1e-5)
    assert ends["a"].finish_reason == "stop"
    assert ends["a"].usage == Usage(prompt_tokens=sum(map(len, TEXTS)), completion_tokens=0)
    assert engine.tokens_per_s > 0


def test_a_step_holds_no_more_tokens_than_it_may(engine: EncoderEngine) -> None:
    engine.submit(request([[2] * 30] * 5))
    steps = 0
    while engine.has_work:
        engine.step()
        steps += 1
    assert steps == 3  # two texts of 30 tokens fit into 64


def test_it_ends_what_is_aborted_or_late_and_goes_on(engine: EncoderEngine) -> None:
    for id_, deadline_s in (("late", -1.0), ("stopped", 600.0), ("good", 600.0)):
        engine.submit(request(TEXTS, id_=id_, deadline_s=deadline_s))
    engine.abort("stopped")
    engine.abort("nobody")
    reasons = {output.id: output.finish_reason for output in run(engine)}
    assert reasons == {"late": "abort", "stopped": "abort", "good": "stop"}


def test_a_loop_steps_it_and_ends_all_at_its_close(bert: Path) -> None:
    heard: list[Output] = []
    loop = EngineLoop(EncoderEngine(Encoder(bert), max_step_tokens=64), heard.extend)
    loop.submit(request(TEXTS))
    await_that(lambda: [output for output in heard if output.finish_reason == "stop"], "the vectors are there")
    loop.close()
    assert not loop.alive


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        (request([[2, VOCAB, 3]]), "prompt_ids"),
        (request([[2] * (CONTEXT + 1)]), "prompt_ids"),
        (request([[], [2]]), "lengths"),
        (Request(id="a", prompt_ids=[2], heard_ids=[], sampling=Sampling(max_tokens=1), deadline=0, task="embed"), "lengths"),
        (Request(id="a", prompt_ids=[2], heard_ids=[], sampling=Sampling(max_tokens=1), deadline=0), "model"),
    ],
)  # fmt: skip
def test_what_it_cannot_read_is_refused_by_name(engine: EncoderEngine, asked: Request, param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        engine.submit(asked)
    assert caught.value.param == param
    assert not engine.has_work


def test_masks_are_filled_as_transformers_does(bert: Path) -> None:
    text = [2, 20, MASK, 40, MASK, 3]
    with torch.no_grad():
        shares = tiny_model("bert")(torch.tensor([text])).logits[0].softmax(-1)
    found = Encoder(bert).fill_mask(text, MASK, count=3)
    assert [[token for token, _share in place] for place in found] == [
        shares[at].topk(3).indices.tolist() for at in (2, 4)
    ]
    assert found[0][0][1] == pytest.approx(shares[2].max().item(), abs=1e-5)


def test_a_model_without_a_head_fills_no_masks(tmp_path: Path) -> None:
    encoder = Encoder(write_family(tmp_path / "bare", "bert_bare"))
    with pytest.raises(InvalidRequest, match="no head"):
        encoder.fill_mask([2, MASK, 3], MASK)


def test_each_release_gets_the_engine_of_its_kind(bert: Path, tmp_path: Path) -> None:
    gpt2 = write_family(tmp_path / "gpt2", "gpt2")
    options = {"device": "cpu", "dtype": "auto", "max_batch": 2, "max_step_tokens": 64}
    assert isinstance(load_engine(bert, **options), EncoderEngine)  # type: ignore[arg-type]
    generator = load_engine(gpt2, **options)  # type: ignore[arg-type]
    with pytest.raises(InvalidRequest, match="no embeddings"):
        generator.submit(request(TEXTS))
    with pytest.raises(UnsupportedModel, match="no encoder"):
        Encoder(gpt2)


def test_numbers_that_are_not_finite_are_an_error(bert: Path) -> None:
    encoder = Encoder(bert)
    encoder._model.get_input_embeddings().weight.data[99] = float("nan")  # type: ignore[no-untyped-call]
    engine = EncoderEngine(encoder, max_step_tokens=8)
    engine.submit(request(TEXTS))
    (end,) = run(engine)
    assert (end.finish_reason, end.error_code) == ("error", "bad_logits")
