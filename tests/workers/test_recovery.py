"""What a GPU worker does when it, its neighbour or Redis dies, stops or comes back."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from inference import wire
from tests.servers import Servers
from tests.waiting import await_that
from tests.workers.conftest import PROMPT
from tests.workers.processes import Caller, GpuWorker
from tests.workers.test_serving import run_alone

StartWorker = Callable[..., GpuWorker]
LONG = 2000  # tokens: seconds of work


def make_resident(caller: Caller, release: wire.ReleaseRef) -> None:
    caller.wait_for_end(caller.send(caller.spec(release, PROMPT, max_tokens=1)))


def whose(caller: Caller, spec: wire.CompletionSpec, workers: list[GpuWorker]) -> tuple[GpuWorker, GpuWorker]:
    """The worker that streams the run, and the other one."""
    name = caller.wait_for(lambda chunk: chunk.index > 5, spec).worker
    mine, other = sorted(workers, key=lambda worker: not name.endswith(f"-{worker.process.pid}"))
    return mine, other


def test_a_release_in_memory_is_served_from_its_own_queue(
    worker: GpuWorker, caller: Caller, release: wire.ReleaseRef
) -> None:
    make_resident(caller, release)
    await_that(
        lambda: (report := worker.report()) and release.digest in report.resident, "the report names the release"
    )
    spec = caller.send(caller.spec(release, PROMPT), wire.serve_queue(release.digest))
    assert caller.wait_for_end(spec).finish_reason == "length"


@pytest.mark.parametrize("sampling", [{}, {"temperature": 1.0, "seed": 9}], ids=["greedy", "seeded"])
def test_a_killed_worker_means_that_the_other_one_goes_on(
    start_worker: StartWorker,
    caller: Caller,
    release: wire.ReleaseRef,
    model_folder: Path,
    sampling: dict[str, object],
) -> None:
    workers = [start_worker(), start_worker()]
    spec = caller.send(caller.spec(release, PROMPT, max_tokens=300, **sampling))
    mine, _other = whose(caller, spec, workers)
    mine.signal(signal.SIGKILL)
    mine.process.wait()
    caller.read()
    end = caller.wait_for_end(caller.again(spec))
    alone = run_alone(model_folder, spec)
    assert caller.tokens(spec.run_id) == [token for output in alone for token in output.token_ids]
    assert caller.text(spec.run_id) == "".join(output.text for output in alone)
    assert end.usage == wire.Usage(prompt_tokens=3, completion_tokens=300)


def test_a_stopped_worker_that_comes_back_ends_what_another_has_taken_over(
    start_worker: StartWorker, caller: Caller, release: wire.ReleaseRef
) -> None:
    workers = [start_worker(), start_worker()]
    spec = caller.send(caller.spec(release, PROMPT, max_tokens=LONG))
    mine, _other = whose(caller, spec, workers)
    mine.signal(signal.SIGSTOP)
    caller.read()
    assert caller.wait_for_end(caller.again(spec)).finish_reason == "length"
    mine.signal(signal.SIGCONT)
    old = caller.wait_for_end(spec)  # the claim of the second epoch is seen within a heartbeat or two
    assert old.finish_reason == "abort"
    assert old.index < LONG


def test_the_report_of_a_dead_worker_expires(
    start_worker: StartWorker, caller: Caller, release: wire.ReleaseRef
) -> None:
    worker = start_worker()
    worker.signal(signal.SIGKILL)
    await_that(lambda: worker.report() is None, "the report is gone", timeout_s=wire.REPLICA_TTL_S + 1)


def test_after_a_flush_of_redis_everything_goes_on(worker: GpuWorker, caller: Caller, release: wire.ReleaseRef) -> None:
    make_resident(caller, release)
    spec = caller.send(caller.spec(release, PROMPT, max_tokens=LONG))
    caller.wait_for(lambda chunk: chunk.index > 5, spec)
    caller.redis.flushall()
    assert caller.wait_for_end(spec).finish_reason == "length"  # its stream has a hole now, which its gateway notices
    worker.wait_until_ready()
    for queue in (wire.COLD_QUEUE, wire.serve_queue(release.digest)):
        assert caller.wait_for_end(caller.send(caller.spec(release, PROMPT), queue)).finish_reason == "length"


def test_a_restarted_redis_is_found_again(
    servers: Servers, start_worker: StartWorker, caller: Caller, release: wire.ReleaseRef
) -> None:
    worker = start_worker()
    make_resident(caller, release)
    spec = caller.send(caller.spec(release, PROMPT, max_tokens=LONG))
    caller.wait_for(lambda chunk: chunk.index > 5, spec)
    servers.processes["valkey"].kill()
    servers.processes["valkey"].wait()
    assert worker.process.poll() is None
    servers.start_valkey()
    back = time.monotonic()
    assert caller.wait_for_end(spec, timeout_s=20).finish_reason == "length"  # what was buffered arrives
    worker.wait_until_ready()
    for queue in (wire.COLD_QUEUE, wire.serve_queue(release.digest)):
        assert caller.wait_for_end(caller.send(caller.spec(release, PROMPT), queue)).finish_reason == "length"
    assert time.monotonic() - back < 20


def test_the_model_used_longest_ago_makes_room(
    start_worker: StartWorker, caller: Caller, release: wire.ReleaseRef, other_release: wire.ReleaseRef
) -> None:
    worker = start_worker()
    make_resident(caller, release)
    report = await_that(lambda: (report := worker.report()) and report.resident and report, "a report of the release")
    worker.stop()

    one_fits = start_worker(MEMORY_LIMIT=str(int(report.memory_used * 1.5)))
    make_resident(caller, release)
    make_resident(caller, other_release)
    await_that(
        lambda: (report := one_fits.report()) and report.resident == (other_release.digest,),
        "only the other release is in memory",
    )
    orphan = caller.send(caller.spec(release, PROMPT), wire.serve_queue(release.digest))
    make_resident(caller, other_release)
    assert caller.heard(orphan.run_id) == []  # nobody consumes the queue of a model that has gone
    make_resident(caller, release)
    assert caller.wait_for_end(orphan).finish_reason == "length"  # and now somebody does


def test_a_model_at_work_is_not_sent_away(
    start_worker: StartWorker, caller: Caller, release: wire.ReleaseRef, other_release: wire.ReleaseRef
) -> None:
    worker = start_worker()
    make_resident(caller, release)
    report = await_that(lambda: (report := worker.report()) and report.resident and report, "a report of the release")
    worker.stop()

    start_worker(MEMORY_LIMIT=str(int(report.memory_used * 1.5)))
    at_work = caller.send(caller.spec(release, PROMPT, max_tokens=LONG))
    caller.wait_for(lambda chunk: chunk.index > 5, at_work)
    waiting = caller.send(caller.spec(other_release, PROMPT, max_tokens=1))
    assert caller.wait_for_end(waiting).finish_reason == "length"
    ends = [chunk.run_id for chunk in caller.chunks if chunk.finish_reason]
    assert ends.index(at_work.run_id) < ends.index(waiting.run_id)
    assert len(caller.tokens(at_work.run_id)) == LONG


def test_sigterm_finishes_what_is_in_hand_and_takes_no_more(
    start_worker: StartWorker, caller: Caller, release: wire.ReleaseRef
) -> None:
    worker = start_worker()
    spec = caller.send(caller.spec(release, PROMPT, max_tokens=LONG))
    caller.wait_for(lambda chunk: chunk.index > 5, spec)
    worker.signal(signal.SIGTERM)
    await_that(lambda: worker.report() is None, "the report is gone", timeout_s=4)
    late = caller.send(caller.spec(release, PROMPT), wire.serve_queue(release.digest))
    assert caller.wait_for_end(spec).finish_reason == "length"
    assert len(caller.tokens(spec.run_id)) == LONG
    assert worker.process.wait(10) == 0
    caller.read()
    assert caller.heard(late.run_id) == []


def test_sigterm_hands_over_what_takes_too_long(
    start_worker: StartWorker, caller: Caller, release: wire.ReleaseRef, model_folder: Path
) -> None:
    worker = start_worker(DRAIN_S="0.2")
    spec = caller.send(caller.spec(release, PROMPT, max_tokens=LONG))
    caller.wait_for(lambda chunk: chunk.index > 5, spec)
    worker.signal(signal.SIGTERM)
    end = caller.wait_for_end(spec)
    assert end.finish_reason == "abort"  # nobody asked for it, so its gateway sends the run again
    assert end.usage
    assert end.usage.completion_tokens == len(caller.tokens(spec.run_id))
    assert worker.process.wait(10) == 0

    start_worker()
    caller.wait_for_end(caller.again(spec))
    alone = run_alone(model_folder, spec)
    assert caller.tokens(spec.run_id) == [token for output in alone for token in output.token_ids]
    assert caller.text(spec.run_id) == "".join(output.text for output in alone)


def test_a_worker_without_work_costs_next_to_nothing(
    worker: GpuWorker, caller: Caller, release: wire.ReleaseRef
) -> None:
    make_resident(caller, release)
    process = psutil.Process(worker.process.pid)
    before = process.cpu_times()
    time.sleep(2)  # what is measured is a stretch of time
    after = process.cpu_times()
    assert (after.user + after.system) - (before.user + before.system) < 0.2


def test_two_workers_share_the_load(start_worker: StartWorker, caller: Caller, release: wire.ReleaseRef) -> None:
    start_worker(GPU_SLOTS="1")
    start_worker(GPU_SLOTS="1")
    specs = [caller.send(replace(caller.spec(release, PROMPT, max_tokens=500))) for _ in range(6)]
    for spec in specs:
        caller.wait_for_end(spec)
    assert len({chunk.worker for chunk in caller.chunks if chunk.finish_reason}) == 2
