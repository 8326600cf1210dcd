"""The limits of a GPU worker: slots, batches, memory, and the time that it gets to stop."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from inference import wire
from inference.engine import Engine
from tests.waiting import await_that
from tests.workers.conftest import PROMPT, assert_whole
from tests.workers.processes import Caller, GpuWorker

StartWorker = Callable[..., GpuWorker]


@pytest.fixture
def database() -> int:
    return 1


def make_resident(caller: Caller, release: wire.ReleaseRef) -> None:
    caller.wait_for_end(caller.send(caller.spec(release, PROMPT, max_tokens=1)))


def test_what_does_not_fit_at_once_waits_and_is_served(
    start_worker: StartWorker, caller: Caller, release: wire.ReleaseRef, other_release: wire.ReleaseRef
) -> None:
    start_worker(GPU_SLOTS="2", MAX_BATCH="1")
    make_resident(caller, release)
    began = time.monotonic()
    specs = [caller.send(caller.spec(release, PROMPT, max_tokens=2)) for _ in range(40)]
    for spec in specs:
        caller.wait_for_end(spec)
    assert time.monotonic() - began < 18  # a slot that becomes free is noticed at once: once a second would take 20

    long = caller.send(caller.spec(other_release, PROMPT, max_tokens=2000))
    caller.wait_for(lambda chunk: bool(chunk.token_ids), long)
    waiting = caller.send(caller.spec(other_release, PROMPT))
    sign = caller.wait_for(lambda chunk: not chunk.token_ids, waiting)
    assert sign.loading is None  # it waits in the engine, and that is said
    assert sign.finish_reason is None
    third = caller.send(caller.spec(other_release, PROMPT))
    caller.wait_for_end(third)
    ends = [chunk.run_id for chunk in caller.chunks if chunk.finish_reason]
    assert ends.index(long.run_id) < ends.index(waiting.run_id) < ends.index(third.run_id)
    assert not [chunk for chunk in caller.heard(third.run_id) if not chunk.token_ids]  # the broker kept it until then


def test_the_model_used_longest_ago_makes_room_unless_it_is_at_work(
    start_worker: StartWorker,
    caller: Caller,
    release: wire.ReleaseRef,
    other_release: wire.ReleaseRef,
    other_folder: Path,
) -> None:
    larger = Engine.load(other_folder, max_batch=2).memory_bytes
    worker = start_worker(MEMORY_LIMIT=str(int(larger * 1.1)), MAX_BATCH="2")
    make_resident(caller, release)
    make_resident(caller, other_release)
    await_that(
        lambda: (report := worker.report()) and report.resident == (other_release.digest,),
        "only the other release is in memory",
    )
    orphan = caller.send(caller.spec(release, PROMPT), wire.serve_queue(release.digest))
    make_resident(caller, other_release)
    assert caller.heard(orphan.run_id) == []  # nobody consumes the queue of a model that has gone

    at_work = caller.send(caller.spec(other_release, PROMPT, max_tokens=1000))
    caller.wait_for(lambda chunk: chunk.index > 5, at_work)
    make_resident(caller, release)
    assert len(caller.tokens(at_work.run_id)) == 1000
    ends = [chunk.run_id for chunk in caller.chunks if chunk.finish_reason]
    assert ends.index(at_work.run_id) == len(ends) - 2  # the other model came after it
    assert caller.wait_for_end(orphan).finish_reason == "length"  # and now somebody consumes that queue


def test_what_takes_too_long_at_a_stop_is_handed_over(
    start_worker: StartWorker, caller: Caller, other_release: wire.ReleaseRef, other_folder: Path
) -> None:
    hasty = start_worker(DRAIN_S="0.2")
    spec = caller.send(caller.spec(other_release, PROMPT, max_tokens=2000))
    caller.wait_for(lambda chunk: chunk.index > 5, spec)
    hasty.signal(signal.SIGTERM)
    end = caller.wait_for_end(spec)
    assert end.finish_reason == "abort"  # nobody asked for this end, so the run is sent again
    assert end.usage
    assert end.usage.completion_tokens == len(caller.tokens(spec.run_id))
    assert hasty.process.wait(60) == 0
    start_worker()
    caller.wait_for_end(caller.again(spec))
    assert_whole(caller, spec, other_folder)
