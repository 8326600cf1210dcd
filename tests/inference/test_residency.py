"""Who stays in memory, who goes, and who is never thrown out."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from inference.engine import Engine, EngineLoop
from inference.errors import NoRoom
from inference.residency import Residency
from tests.inference.runs import ask
from tests.waiting import PATIENCE_S


class Model:
    """Something that takes memory."""

    def __init__(self, memory_bytes: int = 40) -> None:
        self.memory_bytes = memory_bytes
        self.has_work = False
        self.closed = False

    def close(self) -> None:
        self.closed = True


class Events:
    def __init__(self) -> None:
        self.seen: list[str] = []

    def residency(self, limit: int = 100) -> Residency[Model]:
        return Residency(limit, on_evict=self.hear("evict"), on_resident=self.hear("resident"))

    def hear(self, what: str) -> Callable[[str], None]:
        return lambda digest: self.seen.append(f"{what} {digest}")


def test_a_model_is_loaded_once_and_found_again() -> None:
    events = Events()
    residency = events.residency()
    first = residency.get("a", Model)
    assert residency.get("a", Model) is first
    assert residency.resident == ("a",)
    assert residency.memory_bytes == 40
    assert events.seen == ["resident a"]


def test_the_least_recently_used_makes_room() -> None:
    events = Events()
    residency = events.residency()
    a, b = residency.get("a", Model), residency.get("b", Model)
    residency.get("a", Model)
    assert residency.evict_candidates() == ["b", "a"]
    residency.get("c", Model, need_bytes=40)
    assert (a.closed, b.closed) == (False, True)
    assert set(residency.resident) == {"a", "c"}
    assert events.seen == ["resident a", "resident b", "evict b", "resident c"]


def test_room_is_made_after_loading_too_where_the_guess_was_low() -> None:
    residency = Events().residency()
    a, b = residency.get("a", Model), residency.get("b", Model)
    residency.get("c", lambda: Model(90), need_bytes=10)
    assert a.closed
    assert b.closed
    assert residency.resident == ("c",)


def test_one_at_work_is_never_evicted() -> None:
    residency = Events().residency()
    a, b = residency.get("a", Model), residency.get("b", Model)
    a.has_work = True
    residency.get("c", Model, need_bytes=40)
    assert (a.closed, b.closed) == (False, True)
    assert not residency.evict("a")
    assert not residency.evict("nobody")


def test_one_on_lease_is_never_evicted() -> None:
    residency = Events().residency()
    with residency.lease("a", Model) as a:
        residency.get("b", Model)
        residency.get("c", Model, need_bytes=40)
        assert not a.closed
        assert residency.evict_candidates() == ["c"]
    assert residency.evict("a")


def test_without_room_the_load_is_not_begun_and_nothing_is_left_behind() -> None:
    residency = Events().residency()
    for digest in ("a", "b"):
        residency.get(digest, Model).has_work = True
    with pytest.raises(NoRoom):
        residency.get("c", Model, need_bytes=40)
    assert set(residency.resident) == {"a", "b"}
    assert residency.memory_bytes == 80


def test_a_model_larger_than_the_device_is_unloaded_again() -> None:
    residency = Events().residency()
    model = Model(101)
    with pytest.raises(NoRoom):
        residency.get("a", lambda: model)
    assert model.closed
    assert residency.resident == ()


def test_a_load_that_fails_can_be_tried_again() -> None:
    residency = Events().residency()

    def broken() -> Model:
        raise OSError("no such file")

    with pytest.raises(OSError, match="no such file"):
        residency.get("a", broken)
    assert (residency.resident, residency.loading, residency.memory_bytes) == ((), (), 0)
    assert residency.get("a", Model).memory_bytes == 40


def test_work_that_comes_during_on_evict_keeps_the_model() -> None:
    seen: list[str] = []
    model = Model()

    def on_evict(digest: str) -> None:
        model.has_work = True

    residency = Residency[Model](100, on_evict=on_evict, on_resident=seen.append)
    residency.get("a", lambda: model)
    assert not residency.evict("a")
    assert not model.closed
    assert residency.resident == ("a",)
    assert seen == ["a", "a"], "who stopped its queue hears that it can serve again"


def test_one_loader_at_a_time_for_a_digest() -> None:
    residency = Events().residency(1000)
    gate = threading.Event()
    loads: list[int] = []

    def slow() -> Model:
        loads.append(1)
        assert gate.wait(PATIENCE_S)
        return Model()

    got: list[Model] = []
    threads = [threading.Thread(target=lambda: got.append(residency.get("a", slow))) for _ in range(5)]
    for thread in threads:
        thread.start()
    while not loads:
        time.sleep(0.001)
    assert residency.loading == ("a",)
    assert residency.get("b", Model).memory_bytes == 40, "another model does not wait for it"
    gate.set()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert len(loads) == 1
    assert len(set(map(id, got))) == 1


def test_many_threads_never_go_beyond_the_limit() -> None:
    live: list[Model] = []
    lock = threading.Lock()
    peaks: list[int] = []

    class Tracked(Model):
        def __init__(self) -> None:
            super().__init__()
            with lock:
                live.append(self)
                peaks.append(len(live))

        def close(self) -> None:
            with lock:
                live.remove(self)

    residency = Residency[Tracked](100)

    def use(n: int) -> None:
        for turn in range(40):
            digest = str((n * 7 + turn) % 5)
            try:
                with residency.lease(digest, Tracked, need_bytes=40) as model:
                    assert model in live
            except NoRoom:
                time.sleep(0.0005)

    threads = [threading.Thread(target=use, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert max(peaks) <= 2
    residency.close()
    assert live == []


def test_an_engine_loop_can_be_resident(gpt2_folder: Path) -> None:
    residency = Residency[EngineLoop](1 << 30)
    ended = threading.Event()
    loop = residency.get("a", lambda: EngineLoop(Engine.load(gpt2_folder), lambda outputs: ended.set()))
    loop.submit(ask("x", [5, 6], max_tokens=1))
    assert ended.wait(PATIENCE_S)
    assert residency.memory_bytes == loop.memory_bytes
    while loop.has_work:
        time.sleep(0.001)
    assert residency.evict("a")
    assert not loop.alive


def test_what_is_reserved_is_kept_free_and_given_back() -> None:
    residency = Events().residency()
    a = residency.get("a", Model)
    with residency.reserve("training", 70):
        assert a.closed
        assert (residency.resident, residency.memory_bytes) == ((), 70)
        with pytest.raises(NoRoom):
            residency.get("b", Model, need_bytes=40)
    assert residency.memory_bytes == 0
    residency.get("b", Model, need_bytes=40)


def test_nothing_is_reserved_where_models_work() -> None:
    residency = Events().residency()
    residency.get("a", Model).has_work = True
    with pytest.raises(NoRoom), residency.reserve("training", 70):
        raise AssertionError("there is no room")
    assert residency.memory_bytes == 40
