"""A worker that measures: what it tells the store, how often, and what keeps it from telling anything twice."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from inference import wire
from tests.tiny_families import write_adapter, write_family
from tests.waiting import await_that
from tests.workers.hub import Hub
from tests.workers.listener import Listener
from tests.workers.processes import Caller, GpuWorker

BUDGET_S = 4.0  # enough for an answer and some timings


def spec_of(release: wire.ReleaseRef, number: int, **changes: Any) -> wire.EvaluateSpec:
    return replace(wire.EvaluateSpec(measurement_id=number, attempt=1, release=release, budget_s=BUDGET_S), **changes)


def test_a_release_is_measured_and_told_about(
    worker: GpuWorker, listener: Listener, release: wire.ReleaseRef, caller: Caller
) -> None:
    spec = listener.send(spec_of(release, 1))
    end = listener.wait_for_end(spec)
    assert (end.status, end.error) == ("done", "")
    assert end.ttft_ms
    assert end.tokens_per_s_1
    assert end.memory_bytes
    assert end.sample
    assert end.hardware
    running = [report for report in listener.reports(spec) if report.status == "running"]
    assert running
    assert all(0 <= report.progress < 1 and report.step for report in running)
    assert [report.progress for report in running] == sorted(report.progress for report in running)
    assert caller.wait_for_end(caller.send(caller.spec(release, [5, 6, 7]))).finish_reason == "length"


def test_a_message_that_comes_twice_is_measured_once(
    worker: GpuWorker, listener: Listener, release: wire.ReleaseRef
) -> None:
    spec = spec_of(release, 2)
    listener.send(spec)
    listener.send(spec)
    listener.wait_for_end(spec)
    after = listener.send(spec_of(release, 3, budget_s=2.0))
    listener.wait_for_end(after)  # messages are taken in order, so the second is over, too
    assert sum(report.status != "running" for report in listener.reports(spec)) == 1
    listener.send(replace(spec, attempt=2, budget_s=2.0))
    assert listener.wait_for_end(replace(spec, attempt=2)).status == "done"


def test_calls_are_served_while_something_is_measured(
    worker: GpuWorker, listener: Listener, release: wire.ReleaseRef, caller: Caller
) -> None:
    caller.wait_for_end(caller.send(caller.spec(release, [5])))
    spec = listener.send(spec_of(release, 4))
    await_that(lambda: listener.reports(spec), "it is being measured")
    ends = [caller.wait_for_end(caller.send(caller.spec(release, [5, n], max_tokens=4))) for n in range(5)]
    assert all(end.finish_reason == "length" for end in ends)
    assert listener.wait_for_end(spec).status == "done"


def test_an_adapter_is_measured_on_its_base(
    worker: GpuWorker, listener: Listener, hub: Hub, tmp_path: Path, caller: Caller
) -> None:
    base_folder = write_family(tmp_path / "base", "gpt2")
    write_adapter(tmp_path / "adapter", base_folder, target_modules=["c_attn"])
    base = hub.publish("tests/base", base_folder)
    adapter = replace(hub.publish("tests/adapter", tmp_path / "adapter"), base=base)
    assert listener.wait_for_end(listener.send(spec_of(adapter, 5, budget_s=3.0))).status == "done"
    told = [caller.spec(ref, [5, 6, 7], max_tokens=20) for ref in (adapter, base)]
    for spec in told:
        assert caller.wait_for_end(caller.send(spec)).finish_reason in ("length", "stop")
    assert caller.tokens(told[0].run_id) != caller.tokens(told[1].run_id)
    report = worker.report()
    assert report is not None
    assert base.digest in report.resident
    assert adapter.digest not in report.resident, "it has no engine of its own"


def test_a_model_that_cannot_be_loaded_is_unfit_and_a_hub_that_is_away_is_not_its_fault(
    worker: GpuWorker, listener: Listener, hub: Hub, new_release: wire.ReleaseRef, tmp_path: Path
) -> None:
    broken = write_family(tmp_path / "broken", "gpt2")
    config = json.loads((broken / "config.json").read_text())
    (broken / "config.json").write_text(json.dumps(config | {"n_layer": 3}))
    end = listener.wait_for_end(listener.send(spec_of(hub.publish("tests/broken", broken), 6)))
    assert end.status == "unfit"
    assert "lacks the weights" in end.error
    away = replace(new_release, endpoint="http://127.0.0.1:9")
    assert listener.wait_for_end(listener.send(spec_of(away, 7))).status == "failed"
