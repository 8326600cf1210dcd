"""An engine that fails under its attempts, in a server of this process: a fault that no message can cause."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from celery import Celery

from inference import wire
from inference.engine import Engine, Output
from tests.servers import Servers
from tests.waiting import await_that
from tests.workers.conftest import PROMPT, assert_whole
from tests.workers.processes import Caller
from workers import settings
from workers.serve import Server


class Broken(Exception):
    """As a GPU that fell off its bus."""


@pytest.fixture
def database() -> int:
    return 4


@pytest.fixture
def server(servers: Servers, database: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(settings, "REDIS_URL", f"{servers.redis_url}?db={database}")
    monkeypatch.setattr(settings, "WEIGHTS_DIR", tmp_path / "weights")
    monkeypatch.setattr(settings, "DEVICE", "cpu")
    server = Server(Celery(set_as_current=False), slots=4, name="here")
    yield server
    server.close(drain_s=0)


def serve(server: Server, spec: wire.CompletionSpec) -> threading.Thread:
    thread = threading.Thread(target=server.complete, args=(spec.as_json(),), daemon=True)
    thread.start()
    return thread


def test_a_failed_engine_ends_its_attempts_and_the_next_one_gets_a_new_engine(
    server: Server, caller: Caller, release: wire.ReleaseRef, model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = []
    step = Engine.step

    def breaks_at_the_tenth(engine: Engine) -> list[Output]:
        steps.append(engine)
        if len(steps) == 10:
            raise Broken("no device")
        return step(engine)

    monkeypatch.setattr(Engine, "step", breaks_at_the_tenth)
    spec = caller.spec(release, PROMPT, max_tokens=50)
    thread = serve(server, spec)
    end = caller.wait_for_end(spec)
    thread.join(5)
    assert not thread.is_alive()
    assert (end.finish_reason, end.error_code) == ("error", "engine_failed")
    assert 0 < len(caller.tokens(spec.run_id)) < 50
    await_that(lambda: (report := server.report()) and report.resident == (), "the dead engine is unloaded")

    again = caller.next_after(spec)
    serve(server, again)
    assert caller.wait_for_end(again).finish_reason == "length"
    assert steps[0] is not steps[-1]
    assert_whole(caller, spec, model_folder)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_an_engine_thread_that_vanishes_is_noticed(
    server: Server, caller: Caller, release: wire.ReleaseRef, monkeypatch: pytest.MonkeyPatch
) -> None:
    def vanish(engine: Engine) -> list[Output]:
        raise SystemExit  # ends a thread without a word

    monkeypatch.setattr(Engine, "step", vanish)
    spec = caller.spec(release, PROMPT, max_tokens=50)
    serve(server, spec)
    end = caller.wait_for_end(spec)
    assert (end.finish_reason, end.error_code) == ("error", "engine_failed")
