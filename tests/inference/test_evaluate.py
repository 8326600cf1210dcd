"""Measuring tiny models on this machine; the perplexity against transformers' own loss."""

from __future__ import annotations

import itertools
import math
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from inference.asking import Asker, Stopped
from inference.engine import Engine, EngineLoop, Output
from inference.evaluate import REFERENCE, Subject, hardware, measure, reference_digest, windows
from inference.prompt import PromptEncoder
from inference.sample.pretrain import HELD_OUT_PLAY, read_works
from inference.tasks import load_engine
from tests.inference.runs import ask
from tests.tiny_families import CONTEXT, tiny_model, write_family
from tests.waiting import await_that

HELD_OUT = "To be, or not to be, that is the question. " * 20


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("measured")
    return {family: write_family(root / family, family) for family in ("gpt2", "bert")}


@pytest.fixture(autouse=True)
def short_reference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The beginning of the text: tiny vocabularies make many tokens of it."""
    path = tmp_path / "reference.txt"
    path.write_text(REFERENCE.read_text()[:3_000])
    monkeypatch.setattr("inference.evaluate.REFERENCE", path)
    return path


@pytest.fixture
def subject_of(folders: dict[str, Path]) -> Iterator[Callable[[str], Subject]]:
    loops: list[EngineLoop] = []

    def make(family: str) -> Subject:
        engine = load_engine(folders[family], device="cpu", dtype="auto", max_batch=4, max_step_tokens=64)
        loop = EngineLoop(engine, refuse)
        loops.append(loop)
        encoder = PromptEncoder.from_folder(folders[family])
        return Subject(
            loop=loop, encoder=encoder, context_length=CONTEXT, dtype=engine.dtype, device="cpu", held_out=HELD_OUT,
            memory_bytes=loop.memory_bytes,
        )  # fmt: skip

    yield make
    for loop in loops:
        loop.close()


def refuse(outputs: list[Output]) -> None:
    raise AssertionError(f"what is measured is nobody else's: {outputs}")


def silent(_share: float, _step: str) -> None: ...


def loss_of(encoder: PromptEncoder, text: str) -> float:
    """Perplexity by the formula, straight from transformers' logits."""
    model, scores, done = tiny_model("gpt2"), [], 1
    ids = encoder.encode_text(text)
    for start in range(0, len(ids), CONTEXT // 2):
        end = min(start + CONTEXT, len(ids))
        with torch.no_grad():
            logprobs = model(torch.tensor([ids[start:end]])).logits[0].log_softmax(-1)
        scores += [logprobs[at - start - 1, ids[at]].item() for at in range(done, end)]
        done = end
        if end == len(ids):
            break
    assert len(scores) == len(ids) - 1
    return math.exp(-sum(scores) / len(scores))


def test_a_generator_is_measured_in_every_respect(subject_of: Callable[[str], Subject], short_reference: Path) -> None:
    subject = subject_of("gpt2")
    told: list[tuple[float, str]] = []
    report = measure(subject, budget_s=60, tell=lambda share, step: told.append((share, step)))
    assert (report.status, report.progress, report.error) == ("done", 1.0, "")
    assert report.perplexity == pytest.approx(loss_of(subject.encoder, short_reference.read_text()), rel=1e-3)
    assert report.held_out_perplexity == pytest.approx(loss_of(subject.encoder, HELD_OUT), rel=1e-3)
    assert report.sample
    assert report.ttft_ms is not None
    assert 0 < report.ttft_ms < 60_000
    rates = [report.tokens_per_s_1, report.tokens_per_s_8, report.tokens_per_s_32]
    assert all(rate is not None and rate > 0 for rate in rates)
    assert report.memory_bytes == subject.loop.memory_bytes
    assert report.reference == reference_digest()
    assert report.software == f"torch {torch.__version__}, transformers 5.23.0, float32"
    assert report.hardware == hardware("cpu")
    shares = [share for share, _step in told]
    assert shares == sorted(shares)
    assert all(step for _share, step in told)


def test_an_encoder_is_timed_and_has_no_perplexity(subject_of: Callable[[str], Subject]) -> None:
    report = measure(subject_of("bert"), budget_s=60, tell=silent)
    assert report.status == "done"
    assert (report.perplexity, report.held_out_perplexity) == (None, None)
    assert report.sample.startswith("32 numbers: ")
    assert report.ttft_ms
    assert report.tokens_per_s_1
    assert report.tokens_per_s_32


def test_the_reference_text_is_of_the_play_that_the_sample_model_has_not_seen() -> None:
    text = REFERENCE.read_text()
    assert text.strip() in read_works()[HELD_OUT_PLAY]
    assert len(text) > 20_000


def test_numbers_that_are_not_finite_are_no_answer(subject_of: Callable[[str], Subject]) -> None:
    subject = subject_of("gpt2")
    model = subject.loop.engine._runner.model  # type: ignore[attr-defined]
    model.transformer.ln_f.weight.data.fill_(float("nan"))
    report = measure(subject, budget_s=60, tell=silent)
    assert report.status == "unfit"
    assert report.error == "The model failed while it answered: the model made numbers that are not finite."
    assert (report.perplexity, report.memory_bytes) == (None, None)


def test_a_model_that_ends_before_the_first_word_cannot_answer(subject_of: Callable[[str], Subject]) -> None:
    subject = subject_of("gpt2")
    assert isinstance(subject.loop.engine, Engine)
    subject.loop.engine.eos_ids = frozenset(range(400))
    report = measure(subject, budget_s=60, tell=silent)
    assert (report.status, report.error.split(";")[0]) == ("unfit", "The model ends its answers before the first word")


def test_a_model_that_fails_cannot_answer(
    subject_of: Callable[[str], Subject], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_step: object) -> None:
        raise RuntimeError("out of memory")

    subject = subject_of("gpt2")
    monkeypatch.setattr(subject.loop.engine._runner, "run", fail)  # type: ignore[attr-defined]
    report = measure(subject, budget_s=60, tell=silent)
    assert report.status == "unfit"
    assert "out of memory" in report.error


def test_a_slow_model_ends_in_time_and_leaves_out_what_it_has_no_time_for(
    subject_of: Callable[[str], Subject], monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = subject_of("gpt2")
    run = subject.loop.engine._runner.run  # type: ignore[attr-defined]

    def slowly(step: object) -> object:
        time.sleep(0.05)
        return run(step)

    monkeypatch.setattr(subject.loop.engine._runner, "run", slowly)  # type: ignore[attr-defined]
    began = time.monotonic()
    report = measure(subject, budget_s=2, tell=silent)
    assert time.monotonic() - began < 30  # the whole would take minutes
    assert (report.status, report.perplexity) == ("done", None)
    assert report.sample
    assert report.tokens_per_s_1
    assert report.tokens_per_s_1 < 20


def test_a_model_that_says_nothing_in_time_may_do_better_elsewhere(
    subject_of: Callable[[str], Subject], monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = subject_of("gpt2")
    gate, entered = threading.Event(), threading.Event()
    run = subject.loop.engine._runner.run  # type: ignore[attr-defined]

    def after_a_while(step: object) -> object:
        entered.set()
        gate.wait(0.5)
        return run(step)

    monkeypatch.setattr(subject.loop.engine._runner, "run", after_a_while)  # type: ignore[attr-defined]
    subject.loop.submit(ask("other", [5]), lambda _output: None)
    assert entered.wait(60)  # the engine is in a long step
    report = measure(subject, budget_s=0.4, tell=silent)
    gate.set()
    assert report.status == "failed"
    assert "no answer within" in report.error


def test_timings_wait_until_nobody_else_is_served(subject_of: Callable[[str], Subject]) -> None:
    subject = subject_of("gpt2")
    busy = threading.Event()
    busy.set()
    asker = Asker(subject.loop, is_busy=busy.is_set, is_stopped=lambda: False)
    request = replace(ask("a", [5, 6]), ignores_end=True)
    assert asker.ask([request], limit_s=0.2, is_timed=True)[0].tokens == 0
    assert asker.ask([request], limit_s=10, is_timed=False)[0].tokens == 20
    threading.Timer(0.1, busy.clear).start()
    assert asker.ask([request], limit_s=10, is_timed=True)[0].tokens == 20


def test_a_timing_that_was_disturbed_is_done_again(subject_of: Callable[[str], Subject]) -> None:
    subject = subject_of("gpt2")
    looks = itertools.count()
    asker = Asker(subject.loop, is_busy=lambda: next(looks) == 1, is_stopped=lambda: False)
    request = replace(ask("a", [5, 6], max_tokens=100), ignores_end=True)
    (answer,) = asker.ask([request], limit_s=20, is_timed=True)
    assert (answer.tokens, answer.finish_reason) == (100, "length")
    assert next(looks) > 3


def test_a_worker_that_stops_takes_its_requests_back(subject_of: Callable[[str], Subject]) -> None:
    subject = subject_of("gpt2")
    looks = itertools.count()
    with pytest.raises(Stopped):
        measure(subject, budget_s=60, tell=silent, is_stopped=lambda: next(looks) > 3)
    await_that(lambda: not subject.loop.has_work, "nothing is left in the engine")
    assert subject.loop.alive


@pytest.mark.parametrize("steps", range(1, 8))
def test_a_worker_that_stops_blames_nobody_for_the_engine_that_it_has_closed(
    subject_of: Callable[[str], Subject], steps: int
) -> None:
    subject = subject_of("gpt2")
    told = itertools.count(1)
    stopping = threading.Event()

    def stop(_share: float, _step: str) -> None:
        if next(told) == steps:
            stopping.set()
            subject.loop.close()

    with pytest.raises(Stopped):
        measure(subject, budget_s=60, tell=stop, is_stopped=stopping.is_set)


def test_an_answer_that_was_cut_off_by_a_worker_that_stops_is_none(subject_of: Callable[[str], Subject]) -> None:
    subject = subject_of("gpt2")
    stopping = threading.Event()

    def is_busy() -> bool:
        if subject.loop.has_work:  # it was asked, and all is over by the next look
            stopping.set()
            subject.loop.close()
        return False

    asker = Asker(subject.loop, is_busy=is_busy, is_stopped=stopping.is_set)
    with pytest.raises(Stopped):
        asker.ask([replace(ask("a", [5, 6], max_tokens=1000), ignores_end=True)], limit_s=60, is_timed=True)


def test_what_cannot_be_asked_is_an_error_of_its_answer(subject_of: Callable[[str], Subject]) -> None:
    subject = subject_of("gpt2")
    asker = Asker(subject.loop, is_busy=lambda: False, is_stopped=lambda: False)
    (answer,) = asker.ask([ask("a", [])], limit_s=5, is_timed=False)
    assert answer.error == "the prompt is empty"


@pytest.mark.parametrize("begin", [[], [1]])
@pytest.mark.parametrize("length", [1, 2, 7, 8, 9, 40])
def test_windows_count_every_token_once_after_half_a_window(begin: list[int], length: int) -> None:
    ids = list(range(10, 10 + length))
    counted: list[int] = []
    for window, count in windows(ids, begin, 8):
        assert len(window) <= 8
        assert window[: len(begin)] == begin
        counted += window[len(window) - count :]
    assert counted == ids[0 if begin else 1 :]
