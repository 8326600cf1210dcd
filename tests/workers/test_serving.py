"""A GPU worker, driven by wire messages as a gateway drives it."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from inference import wire
from tests.waiting import await_that
from tests.workers.conftest import PROMPT, run_alone
from tests.workers.hub import Hub
from tests.workers.processes import Caller, GpuWorker


@pytest.mark.parametrize(
    "sampling", [{}, {"temperature": 1.0, "seed": 3}, {"logprobs": 2}], ids=["greedy", "seeded", "logprobs"]
)
def test_a_run_streams_what_the_engine_makes(
    worker: GpuWorker, caller: Caller, release: wire.ReleaseRef, model_folder: Path, sampling: dict[str, object]
) -> None:
    spec = caller.send(caller.spec(release, PROMPT, max_tokens=40, **sampling))
    end = caller.wait_for_end(spec)
    alone = run_alone(model_folder, spec)
    assert caller.tokens(spec.run_id) == [token for output in alone for token in output.token_ids]
    assert caller.text(spec.run_id) == "".join(output.text for output in alone)
    told = [logprob.token_id for chunk in caller.heard(spec.run_id) for logprob in chunk.logprobs]
    assert told == [logprob.token_id for output in alone for logprob in output.logprobs]
    assert end.finish_reason == alone[-1].finish_reason
    assert end.usage == wire.Usage(prompt_tokens=3, completion_tokens=len(caller.tokens(spec.run_id)))


def test_one_worker_serves_several_runs_at_once(
    worker: GpuWorker, caller: Caller, release: wire.ReleaseRef, model_folder: Path
) -> None:
    specs = [caller.send(caller.spec(release, [*PROMPT, n], max_tokens=60)) for n in range(8)]
    for spec in specs:
        assert caller.wait_for_end(spec).finish_reason == "length"
        assert caller.tokens(spec.run_id) == [
            token for output in run_alone(model_folder, spec) for token in output.token_ids
        ]


def test_an_attempt_runs_once_however_often_its_message_comes(
    worker: GpuWorker, caller: Caller, release: wire.ReleaseRef
) -> None:
    spec = caller.spec(release, PROMPT, max_tokens=30)
    for _ in range(3):
        caller.send(spec)
    caller.wait_for_end(spec)
    later = caller.send(caller.spec(release, PROMPT))
    caller.wait_for_end(later)
    told = [
        index for chunk in caller.heard(spec.run_id) for index in range(chunk.index, chunk.index + len(chunk.token_ids))
    ]
    assert told == list(range(30))


def test_an_attempt_that_was_given_up_is_not_started(
    worker: GpuWorker, caller: Caller, release: wire.ReleaseRef
) -> None:
    spec = caller.spec(release, PROMPT)
    caller.redis.set(wire.claim_key(spec.run_id), spec.epoch)
    caller.send(spec)
    caller.wait_for_end(caller.send(caller.spec(release, PROMPT)))
    assert caller.heard(spec.run_id) == []


def test_an_abort_ends_a_run_early_with_its_count(worker: GpuWorker, caller: Caller, release: wire.ReleaseRef) -> None:
    spec = caller.send(caller.spec(release, PROMPT, max_tokens=2000))
    caller.wait_for(lambda chunk: chunk.index > 5, spec)
    caller.abort(spec)
    end = caller.wait_for_end(spec)
    assert end.finish_reason == "abort"
    assert end.usage
    assert end.usage.completion_tokens == len(caller.tokens(spec.run_id)) < 2000


def test_an_abort_of_an_older_epoch_stops_nothing(worker: GpuWorker, caller: Caller, release: wire.ReleaseRef) -> None:
    spec = replace(caller.spec(release, PROMPT, max_tokens=100), epoch=2)
    caller.send(spec)
    caller.wait_for(lambda chunk: bool(chunk.token_ids), spec)
    caller.abort(replace(spec, epoch=1))
    assert caller.wait_for_end(spec).finish_reason == "length"


def test_a_run_goes_on_after_the_tokens_that_were_heard(
    worker: GpuWorker, caller: Caller, release: wire.ReleaseRef, model_folder: Path
) -> None:
    spec = caller.spec(release, PROMPT, max_tokens=30, temperature=0.9, seed=5)
    alone = run_alone(model_folder, spec)
    tokens = [token for output in alone for token in output.token_ids]
    caller.send(replace(spec, epoch=4, heard_ids=tokens[:12]))
    end = caller.wait_for_end(replace(spec, epoch=4))
    chunks = [chunk for chunk in caller.heard(spec.run_id) if chunk.token_ids]
    assert [token for chunk in chunks for token in chunk.token_ids] == tokens[12:]
    assert chunks[0].index == 12
    assert caller.text(spec.run_id) == "".join(output.text for output in alone[12:])
    assert end.usage == wire.Usage(prompt_tokens=3, completion_tokens=30)


def test_a_deadline_ends_a_run_with_abort(worker: GpuWorker, caller: Caller, release: wire.ReleaseRef) -> None:
    caller.wait_for_end(caller.send(caller.spec(release, PROMPT)))
    spec = caller.send(caller.spec(release, PROMPT, max_tokens=2000, deadline_s=0.5))
    end = caller.wait_for_end(spec)
    assert end.finish_reason == "abort"
    assert len(caller.tokens(spec.run_id)) < 2000


def test_a_request_that_the_model_cannot_take_ends_with_an_error(
    worker: GpuWorker, caller: Caller, release: wire.ReleaseRef
) -> None:
    end = caller.wait_for_end(caller.send(caller.spec(release, [10**6])))
    assert (end.finish_reason, end.error_code) == ("error", "invalid_request")
    assert end.usage == wire.Usage(prompt_tokens=1, completion_tokens=0)


def test_a_message_that_cannot_be_read_harms_nobody(
    worker: GpuWorker, caller: Caller, release: wire.ReleaseRef
) -> None:
    for message in ({"version": 99}, {"version": 1}, {}):
        caller.send_raw(message)
    assert caller.wait_for_end(caller.send(caller.spec(release, PROMPT))).finish_reason == "length"


def test_files_that_are_not_the_release_are_not_loaded(
    worker: GpuWorker, caller: Caller, release: wire.ReleaseRef
) -> None:
    forged = replace(release, digest="sha256:" + "0" * 64)
    end = caller.wait_for_end(caller.send(caller.spec(forged, PROMPT)))
    assert (end.finish_reason, end.error_code) == ("error", "digest_mismatch")


def test_a_hub_that_is_away_is_an_error_and_the_next_attempt_can_succeed(
    worker: GpuWorker, caller: Caller, new_release: wire.ReleaseRef
) -> None:
    away = replace(new_release, endpoint="http://127.0.0.1:9")
    spec = caller.send(caller.spec(away, PROMPT))
    end = caller.wait_for_end(spec)
    assert (end.finish_reason, end.error_code) == ("error", "pull_failed")
    again = caller.again(replace(spec, release=new_release))
    assert caller.wait_for_end(replace(again, epoch=2)).finish_reason == "length"


def test_while_a_model_loads_its_runs_say_so_and_can_be_stopped(
    worker: GpuWorker, caller: Caller, new_release: wire.ReleaseRef, hub: Hub
) -> None:
    hub.gate.clear()
    try:
        spec = caller.send(caller.spec(new_release, PROMPT))
        chunk = caller.wait_for(lambda chunk: chunk.loading is not None, spec)
        assert chunk.loading is not None
        assert 0 <= chunk.loading < 1
        report = worker.report()
        assert report is not None
        assert report.loading == (new_release.digest,)
        caller.abort(spec)
        end = caller.wait_for_end(spec)
    finally:
        hub.gate.set()
    assert end.finish_reason == "abort"
    assert end.usage == wire.Usage(prompt_tokens=3, completion_tokens=0)


def test_a_release_in_memory_is_served_from_its_own_queue(
    worker: GpuWorker, caller: Caller, release: wire.ReleaseRef
) -> None:
    caller.wait_for_end(caller.send(caller.spec(release, PROMPT)))
    await_that(
        lambda: (report := worker.report()) and release.digest in report.resident, "the report names the release"
    )
    spec = caller.send(caller.spec(release, PROMPT), wire.serve_queue(release.digest))
    assert caller.wait_for_end(spec).finish_reason == "length"


def test_after_a_flush_of_redis_everything_goes_on(
    worker: GpuWorker, caller: Caller, other_release: wire.ReleaseRef
) -> None:
    spec = caller.send(caller.spec(other_release, PROMPT, max_tokens=500))
    caller.wait_for(lambda chunk: chunk.index > 5, spec)
    caller.redis.flushdb()
    assert caller.wait_for_end(spec).finish_reason == "length"  # its stream has a hole now, which its gateway notices
    worker.wait_until_ready()
    for queue in (wire.COLD_QUEUE, wire.serve_queue(other_release.digest)):
        assert caller.wait_for_end(caller.send(caller.spec(other_release, PROMPT), queue)).finish_reason == "length"


def test_a_worker_without_work_costs_next_to_nothing(
    worker: GpuWorker, caller: Caller, release: wire.ReleaseRef
) -> None:
    caller.wait_for_end(caller.send(caller.spec(release, PROMPT)))
    process = psutil.Process(worker.process.pid)
    before = process.cpu_times()
    time.sleep(2)  # what is measured is a stretch of time
    after = process.cpu_times()
    assert (after.user + after.system) - (before.user + before.system) < 0.2
