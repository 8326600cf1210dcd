"""The thread around the engine: it serves, it ends, and it says so when it dies."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from inference.engine import Engine, EngineLoop, EngineStopped, InvalidRequest, Output
from tests.inference.runs import Run, ask, collect, serve_one
from tests.waiting import PATIENCE_S


class Sink:
    """Keeps outputs by request and lets a test wait for an end."""

    def __init__(self, *ids: str) -> None:
        self.runs = {id_: Run() for id_ in ids}
        self._changed = threading.Condition()

    def __call__(self, outputs: list[Output]) -> None:
        with self._changed:
            collect(outputs, self.runs)
            self._changed.notify_all()

    def wait_end(self, id_: str) -> Output:
        with self._changed:
            assert self._changed.wait_for(lambda: self.runs[id_].last is not None, PATIENCE_S)
        return self.runs[id_].end

    def wait_tokens(self, id_: str, count: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.runs[id_].tokens) >= count, PATIENCE_S)


@pytest.fixture
def tiny(gpt2_folder: Path) -> Engine:
    return Engine.load(gpt2_folder, max_batch=4)


def test_requests_of_many_threads_are_all_served(tiny: Engine) -> None:
    expected = {str(n): serve_one(tiny, ask(str(n), [n + 3, 17])).tokens for n in range(12)}
    sink = Sink(*expected)
    loop = EngineLoop(tiny, sink)
    threads = [threading.Thread(target=loop.submit, args=(ask(id_, [int(id_) + 3, 17]),)) for id_ in expected]
    for thread in threads:
        thread.start()
    for id_ in expected:
        assert sink.wait_end(id_).finish_reason in ("length", "stop")
    assert {id_: run.tokens for id_, run in sink.runs.items()} == expected
    loop.close()
    assert not loop.alive


def test_a_bad_request_is_refused_where_it_is_submitted(tiny: Engine) -> None:
    loop = EngineLoop(tiny, Sink())
    with pytest.raises(InvalidRequest):
        loop.submit(ask("a", []))
    assert loop.alive
    loop.close()


def test_abort_reaches_a_running_request(tiny: Engine) -> None:
    sink = Sink("a")
    loop = EngineLoop(tiny, sink)
    loop.submit(ask("a", [5], max_tokens=120))
    sink.wait_tokens("a", 2)
    loop.abort("a")
    assert sink.wait_end("a").finish_reason in ("abort", "length")
    loop.close()


def test_close_ends_every_request_with_abort(tiny: Engine) -> None:
    sink = Sink("a", "b")
    slow = Slow(tiny)
    loop = EngineLoop(slow.engine, sink)
    loop.submit(ask("a", [5], max_tokens=120))
    loop.submit(ask("b", [6], max_tokens=120))
    sink.wait_tokens("a", 1)
    loop.close()
    assert [sink.runs[id_].end.finish_reason for id_ in ("a", "b")] == ["abort", "abort"]
    assert not tiny.has_work
    with pytest.raises(EngineStopped):
        loop.submit(ask("c", [5]))


class Slow:
    """An engine whose steps take a while."""

    def __init__(self, engine: Engine) -> None:
        step = engine.step

        def slow_step() -> list[Output]:
            time.sleep(0.01)
            return step()

        engine.step = slow_step  # type: ignore[method-assign]
        self.engine = engine


def test_a_step_that_raises_ends_every_request_with_an_error(tiny: Engine) -> None:
    sink = Sink("a", "b")
    step = tiny._runner.run
    calls = []

    def failing(plan: object) -> object:
        calls.append(plan)
        if len(calls) > 3:
            raise RuntimeError("device lost")
        return step(plan)  # type: ignore[arg-type]

    tiny._runner.run = failing  # type: ignore[assignment, method-assign]
    loop = EngineLoop(tiny, sink)
    loop.submit(ask("a", [5], max_tokens=50))
    loop.submit(ask("b", [6], max_tokens=50))
    for id_ in ("a", "b"):
        end = sink.wait_end(id_)
        assert (end.finish_reason, end.error_code) == ("error", "engine_failed")
        assert end.error == "RuntimeError: device lost"
        assert end.usage is not None
        assert end.usage.completion_tokens == len(sink.runs[id_].tokens)
    loop.close()
    assert not loop.alive
    with pytest.raises(EngineStopped):
        loop.submit(ask("c", [5]))


def test_a_sink_that_raises_stops_the_engine_and_not_the_process(tiny: Engine) -> None:
    def broken(outputs: list[Output]) -> None:
        raise ConnectionError("redis is away")

    loop = EngineLoop(tiny, broken)
    loop.submit(ask("a", [5]))
    loop._thread.join(PATIENCE_S)
    assert not loop.alive
    assert not tiny.has_work
