"""A worker that stops in the middle of measuring."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from inference import wire
from tests.waiting import await_that
from tests.workers.conftest import PROMPT
from tests.workers.hub import Hub
from tests.workers.listener import Listener
from tests.workers.processes import Caller, GpuWorker


@pytest.fixture
def database() -> int:
    return 5


@pytest.fixture
def closed_gate(hub: Hub) -> Iterator[Callable[[], None]]:
    """Closes the Hub's gate when it is called: no file comes until the end of the test."""
    yield hub.gate.clear
    hub.gate.set()


def test_it_lets_go_and_says_nothing_so_that_another_can_be_asked(
    start_worker: Callable[..., GpuWorker],
    listener: Listener,
    caller: Caller,
    hub: Hub,
    closed_gate: Callable[[], None],
    release: wire.ReleaseRef,
    new_release: wire.ReleaseRef,
) -> None:
    worker = start_worker(DRAIN_S="0.1")
    caller.wait_for_end(caller.send(caller.spec(release, PROMPT)))  # it is in memory
    closed_gate()
    waiting = caller.send(
        caller.spec(new_release, PROMPT)
    )  # a call that the worker has in hand: timings wait for its end
    caller.wait_for(lambda chunk: True, waiting)
    spec = listener.send(wire.EvaluateSpec(measurement_id=8, attempt=1, release=release))
    await_that(lambda: listener.reports(spec), "it is being measured")
    worker.process.terminate()
    await_that(lambda: worker.report() is None, "it has let go of everything")
    hub.gate.set()
    assert worker.process.wait(60) == 0
    assert {report.status for report in listener.reports(spec)} == {"running"}
