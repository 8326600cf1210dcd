"""Adapters on a worker: in the engine of their base, by its queue; in memory as long as there is room."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from inference import wire
from inference.engine import Engine, EngineLoop
from tests.inference.runs import generated
from tests.tiny_families import tiny_model, write_adapter, write_family
from tests.waiting import await_that
from tests.workers.hub import Hub
from tests.workers.processes import Caller, GpuWorker
from workers import settings
from workers.models import ModelLoadFailed, Models
from workers.queues import Queues

PROMPT = [5, 6, 7]


@dataclass(frozen=True)
class Family:
    """A tiny GPT-2 with two adapters, and what transformers and PEFT say to PROMPT, by release digest."""

    base: wire.ReleaseRef
    adapters: tuple[wire.ReleaseRef, ...]
    said: dict[str, list[int]]

    @property
    def all(self) -> tuple[wire.ReleaseRef, ...]:
        return (self.base, *self.adapters)


@pytest.fixture(scope="module")
def family(hub: Hub, tmp_path_factory: pytest.TempPathFactory) -> Family:
    root = tmp_path_factory.mktemp("family")
    folder = write_family(root / "base", "gpt2", seed=21)
    base = hub.publish("family/base", folder)
    said = {base.digest: generated(tiny_model("gpt2", seed=21), PROMPT, 20)}
    adapters = []
    for seed in (1, 2):
        merged = write_adapter(root / str(seed), folder, seed=seed, target_modules=["c_attn", "c_fc"])
        adapters.append(replace(hub.publish(f"family/{seed}", root / str(seed)), base=base))
        said[adapters[-1].digest] = generated(merged, PROMPT, 20)
    return Family(base, tuple(adapters), said)


@pytest.fixture
def new_adapter(hub: Hub, family: Family, tmp_path: Path) -> wire.ReleaseRef:
    """One that no worker has seen."""
    folder = hub.folders[family.base.repo_id]
    write_adapter(tmp_path / "new", folder, seed=hash(tmp_path.name) % 1000, target_modules=["c_attn"])
    return replace(hub.publish(f"family/{tmp_path.name}", tmp_path / "new"), base=family.base)


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], Models]]:
    """Makes the models of a worker with so many bytes of memory."""
    made: list[Models] = []
    monkeypatch.setattr(settings, "WEIGHTS_DIR", tmp_path / "weights")

    def make(limit: int) -> Models:
        monkeypatch.setattr(settings, "MEMORY_LIMIT", limit)
        made.append(Models(Queues(), lambda outputs: None))
        return made[-1]

    yield make
    for each in made:
        each.close()


def engine_of(loop: EngineLoop) -> Engine:
    assert isinstance(loop.engine, Engine)
    return loop.engine


def holds(models: Models, ref: wire.ReleaseRef) -> bool:
    """Whether an adapter is in memory: then it is there without being fetched or loaded again."""
    return ref.digest in models._residency.resident


def test_adapters_and_their_base_are_served_by_one_engine(worker: GpuWorker, caller: Caller, family: Family) -> None:
    specs = [caller.send(caller.spec(ref, PROMPT, max_tokens=20)) for ref in (*family.all, *family.all)]
    for spec in specs:
        assert caller.wait_for_end(spec).finish_reason in ("length", "stop")
        assert caller.tokens(spec.run_id) == family.said[spec.release.digest]
    assert len({tuple(tokens) for tokens in family.said.values()}) == 3
    digests = {ref.digest for ref in family.all}

    def resident() -> set[str]:
        report = worker.report()
        return set(report.resident) & digests if report else set()

    await_that(lambda: resident() == {family.base.digest}, "the base is the one that it says it holds")


def test_a_new_adapter_comes_by_the_queue_of_its_base(
    worker: GpuWorker, caller: Caller, family: Family, new_adapter: wire.ReleaseRef
) -> None:
    caller.wait_for_end(caller.send(caller.spec(family.base, PROMPT)))
    await_that(
        lambda: (report := worker.report()) and family.base.digest in report.resident,
        "the base is reported",
        timeout_s=60,
    )
    spec = caller.send(caller.spec(new_adapter, PROMPT), wire.serve_queue(new_adapter.engine_digest))
    assert caller.wait_for_end(spec).finish_reason in ("length", "stop")
    assert caller.tokens(spec.run_id) != family.said[family.base.digest][:8]


def test_how_far_an_adapter_is_on_its_way_is_told(
    worker: GpuWorker, caller: Caller, hub: Hub, family: Family, new_adapter: wire.ReleaseRef
) -> None:
    caller.wait_for_end(caller.send(caller.spec(family.base, PROMPT)))
    hub.gate.clear()
    try:
        spec = caller.send(caller.spec(new_adapter, PROMPT))
        chunk = caller.wait_for(lambda chunk: chunk.loading is not None, spec)
    finally:
        hub.gate.set()
    assert chunk.loading is not None
    assert family.base.size / new_adapter.total_size <= chunk.loading < 1, "the base is there, and the adapter is not"
    assert caller.wait_for_end(spec).finish_reason in ("length", "stop")


def test_an_adapter_that_cannot_be_loaded_fails_its_own_calls_only(
    worker: GpuWorker, caller: Caller, hub: Hub, family: Family, tmp_path: Path
) -> None:
    folder = tmp_path / "broken"
    write_adapter(folder, hub.folders[family.base.repo_id], target_modules=["c_attn"])
    file = folder / "adapter_model.safetensors"
    save_file({name: tensor * float("nan") for name, tensor in load_file(file).items()}, file)
    broken = replace(hub.publish("family/broken", folder), base=family.base)
    long = caller.send(caller.spec(family.adapters[0], PROMPT, max_tokens=100))
    failed = caller.send(caller.spec(broken, PROMPT))
    end = caller.wait_for_end(failed)
    assert (end.finish_reason, end.error_code) == ("error", "unsupported_model")
    assert end.error is not None
    assert "not finite" in end.error
    assert caller.wait_for_end(long).finish_reason in ("length", "stop")
    spec = caller.send(caller.spec(family.adapters[1], PROMPT, max_tokens=20))
    caller.wait_for_end(spec)
    assert caller.tokens(spec.run_id) == family.said[spec.release.digest]


def test_an_adapter_counts_by_its_bytes_and_the_one_used_longest_ago_makes_room(
    models: Callable[[int], Models], family: Family
) -> None:
    first, second = family.adapters
    roomy = models(10**12)
    with roomy.lease(first, lambda: True) as loop:
        alone, each = loop.memory_bytes, roomy.adapter_bytes(first)
        assert roomy.memory_bytes == alone + each
    roomy.close()
    tight = models(alone + each + each // 2)  # one of them, not two
    with tight.lease(first, lambda: True) as loop:
        assert holds(tight, first)
        assert tight.resident == (family.base.digest,)
    with tight.lease(second, lambda: True) as again:
        assert again is loop, "the base stays"
        assert (holds(tight, first), holds(tight, second)) == (False, True)
        assert tight.memory_bytes == alone + each


def test_an_adapter_waits_while_others_are_at_work_and_there_is_no_room(
    models: Callable[[int], Models], family: Family
) -> None:
    first, second = family.adapters
    roomy = models(10**12)
    with roomy.lease(first, lambda: True):
        needed = roomy.memory_bytes + roomy.adapter_bytes(first) // 2
    roomy.close()
    tight = models(needed)
    arrived = threading.Event()

    def come() -> None:
        with tight.lease(second, lambda: True):
            arrived.set()

    waiting = threading.Thread(target=come)
    with tight.lease(first, lambda: True):
        with pytest.raises(ModelLoadFailed, match="NoRoom"), tight.lease(second, lambda: False):
            pass
        waiting.start()
        assert not arrived.wait(1)
    assert arrived.wait(60)
    waiting.join()


def test_a_base_takes_its_adapters_along(
    models: Callable[[int], Models], family: Family, release: wire.ReleaseRef
) -> None:
    held = models(10**12)
    with held.lease(family.adapters[0], lambda: True) as loop:
        engine = engine_of(loop)
    assert held._residency.evict(family.base.digest)
    assert not holds(held, family.adapters[0])
    assert held.memory_bytes == 0
    with held.lease(family.adapters[0], lambda: True) as loop:
        assert engine_of(loop) is not engine
        assert holds(held, family.adapters[0])


def test_a_worker_that_could_only_send_an_adapter_away_has_no_room(
    models: Callable[[int], Models], family: Family
) -> None:
    roomy = models(10**12)
    with roomy.lease(family.adapters[0], lambda: True):
        needed = roomy.memory_bytes
    roomy.close()
    full = models(needed)
    with full.lease(family.adapters[0], lambda: True):
        pass
    assert full.has_room, "the base is idle, too"
    with full.lease(family.base, lambda: True):
        assert not full.has_room
