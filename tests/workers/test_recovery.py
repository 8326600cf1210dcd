"""What GPU workers do when one of them, or Redis, dies, stops or comes back."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from inference import wire
from tests.servers import Servers
from tests.waiting import await_that
from tests.workers.conftest import PROMPT, assert_whole
from tests.workers.processes import Caller, GpuWorker

OWN = 2  # the Redis database of this module
LONG = 600  # tokens: seconds of work


@pytest.fixture
def database() -> int:
    return OWN


@pytest.fixture(scope="module")
def workers() -> Iterator[list[GpuWorker]]:
    started: list[GpuWorker] = []
    yield started
    for worker in started:
        worker.stop()


@pytest.fixture
def pair(
    servers: Servers, workers: list[GpuWorker], tmp_path_factory: pytest.TempPathFactory, empty_redis: None
) -> list[GpuWorker]:
    """Two workers: those that the test before has left, and new ones for the others."""
    folder = tmp_path_factory.getbasetemp() / "pair"
    alive = [worker for worker in workers if worker.process.poll() is None]
    while len(alive) < 2:
        alive.append(GpuWorker(servers, folder, database=OWN))
    workers[:] = alive
    for worker in alive:
        worker.wait_until_ready()
    return alive


def whose(caller: Caller, spec: wire.CompletionSpec, pair: list[GpuWorker]) -> tuple[GpuWorker, GpuWorker]:
    """The worker that streams the run, and the other one."""
    name = caller.wait_for(lambda chunk: chunk.index > 5, spec).worker
    mine, other = sorted(pair, key=lambda worker: not name.endswith(f"-{worker.process.pid}"))
    return mine, other


def test_the_other_worker_goes_on_where_a_killed_one_was_cut_off(
    pair: list[GpuWorker], caller: Caller, other_release: wire.ReleaseRef, other_folder: Path
) -> None:
    greedy = caller.send(caller.spec(other_release, PROMPT, max_tokens=300))
    mine, _other = whose(caller, greedy, pair)
    seeded = caller.send(caller.spec(other_release, PROMPT, max_tokens=300, temperature=1.0, seed=9))
    its, _ = whose(caller, seeded, pair)
    mine.signal(signal.SIGKILL)
    mine.process.wait()
    cut_off = [greedy] if its is not mine else [greedy, seeded]
    for spec in cut_off:
        end = caller.wait_for_end(caller.again(spec))
        assert end.usage == wire.Usage(prompt_tokens=3, completion_tokens=300)
    caller.wait_for(lambda chunk: bool(chunk.finish_reason), caller.newest(seeded))
    for spec in (greedy, seeded):
        assert_whole(caller, spec, other_folder)
    await_that(lambda: mine.report() is None, "the report of the dead expires")


def test_a_stopped_worker_that_comes_back_ends_what_another_has_taken_over(
    pair: list[GpuWorker], caller: Caller, other_release: wire.ReleaseRef, other_folder: Path
) -> None:
    spec = caller.send(caller.spec(other_release, PROMPT, max_tokens=LONG))
    mine, _other = whose(caller, spec, pair)
    mine.signal(signal.SIGSTOP)
    try:
        again = caller.again(spec)  # Redis may still hand this to the one that is stopped, so a gateway sends it twice
        assert caller.wait_for_end(caller.send(again)).finish_reason == "length"
    finally:
        mine.signal(signal.SIGCONT)
    old = caller.wait_for_end(spec)  # the claim of the second epoch is seen within a heartbeat or two
    assert old.finish_reason == "abort"
    assert old.index < LONG
    assert_whole(caller, spec, other_folder)


def test_a_killed_redis_is_found_again(
    servers: Servers, pair: list[GpuWorker], caller: Caller, other_release: wire.ReleaseRef
) -> None:
    spec = caller.send(caller.spec(other_release, PROMPT, max_tokens=LONG))
    caller.wait_for(lambda chunk: chunk.index > 5, spec)
    servers.processes["valkey"].kill()
    servers.processes["valkey"].wait()
    servers.start_valkey()
    assert caller.wait_for_end(spec).finish_reason == "length"  # what was buffered arrives
    for worker in pair:
        worker.wait_until_ready()
    for queue in (wire.COLD_QUEUE, wire.serve_queue(other_release.digest)):
        assert caller.wait_for_end(caller.send(caller.spec(other_release, PROMPT), queue)).finish_reason == "length"


def test_a_worker_that_is_told_to_stop_finishes_what_it_has_in_hand(
    pair: list[GpuWorker], caller: Caller, other_release: wire.ReleaseRef, other_folder: Path
) -> None:
    spec = caller.send(caller.spec(other_release, PROMPT, max_tokens=LONG))
    mine, other = whose(caller, spec, pair)
    mine.signal(signal.SIGTERM)
    await_that(lambda: mine.report() is None, "the report is gone")
    late = caller.send(caller.spec(other_release, PROMPT, max_tokens=2))
    assert caller.wait_for_end(late).worker.endswith(f"-{other.process.pid}")
    assert caller.wait_for_end(spec).finish_reason == "length"
    assert mine.process.wait(60) == 0
    assert_whole(caller, spec, other_folder)


def test_workers_share_the_load(pair: list[GpuWorker], caller: Caller, other_release: wire.ReleaseRef) -> None:
    specs = [caller.send(caller.spec(other_release, PROMPT, max_tokens=50)) for _ in range(24)]
    for spec in specs:
        caller.wait_for_end(spec)
    assert len({chunk.worker for chunk in caller.chunks if chunk.finish_reason}) == 2
