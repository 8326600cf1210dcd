"""Redis is emptied or killed under load: it knows nothing that matters."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import openai
import pytest

from store.runs.models import Run, RunStatus
from tests.faults.calls import END_S, Ask, Call, assert_books_are_right, assert_charged_once
from tests.stack import Part, Shop, Stack
from tests.waiting import await_that

pytestmark = [pytest.mark.fault, pytest.mark.timeout(3600)]

CALLERS = 6
TOKENS = 300
FLUSHES, FULL_FLUSHES = 3, 20
KILLS, FULL_KILLS = 1, 10
UNDER_WAY_S = 1.0  # between faults
DOWN_S = 2.0  # how long Redis is away


class Load:
    """Clients that call again and again. What is refused is no fault; what was accepted must end."""

    def __init__(self, stack: Stack, shop: Shop) -> None:
        self.calls: list[Call] = []
        self._stopped = threading.Event()
        self._threads = [
            threading.Thread(target=self._go_on, args=(stack, shop, n), daemon=True) for n in range(CALLERS)
        ]
        for thread in self._threads:
            thread.start()

    def _go_on(self, stack: Stack, shop: Shop, number: int) -> None:
        while not self._stopped.is_set():
            call = Call(stack, shop, Ask(prompt=f"Caller {number}", max_tokens=TOKENS, seed=number, temperature=1.0))
            self.calls.append(call)
            call.join()

    def stop(self) -> None:
        """Returns when the last calls have ended."""
        self._stopped.set()
        for thread in self._threads:
            thread.join(END_S)
            assert not thread.is_alive(), f"a call did not end within {END_S} s"

    @property
    def whole(self) -> list[Call]:
        return [call for call in self.calls if call.ended and call.error is None]


@pytest.fixture(scope="module")
def parts(stack: Stack, shop: Shop) -> list[Part]:
    return [*stack.start_web(2), *stack.start_gpu(2)]


@pytest.fixture
def load(stack: Stack, shop: Shop, parts: list[Part]) -> Iterator[Load]:
    load = Load(stack, shop)
    await_that(lambda: len(load.whole) >= CALLERS, "the load is under way")
    yield load
    load.stop()


def assert_ends_are_good(load: Load) -> None:
    """Whatever was accepted is settled; a call that came to nothing says so, and is charged for what it was given only."""
    assert_books_are_right()
    assert_charged_once(load.whole)
    for call in load.whole:
        assert call.completion_tokens == TOKENS
    for call in load.calls:
        if call.error is not None:
            assert isinstance(call.error, openai.APIError)
    assert not Run.objects.filter(status=RunStatus.FAILED, output_tokens=0, charge_nano__gt=0).exists()


def test_a_flush_under_load_ends_no_run(stack: Stack, load: Load, full: bool) -> None:
    for _ in range(FULL_FLUSHES if full else FLUSHES):
        time.sleep(UNDER_WAY_S)  # the load goes on in between
        stack.redis.flushall()
        before = len(load.whole)
        await_that(lambda seen=before: len(load.whole) >= seen + CALLERS, "calls are answered again", timeout_s=END_S)
    load.stop()
    assert [call.error for call in load.calls if call.error] == []
    assert_ends_are_good(load)


def test_redis_killed_under_load_is_survived(stack: Stack, load: Load, full: bool) -> None:
    for _ in range(FULL_KILLS if full else KILLS):
        time.sleep(UNDER_WAY_S)
        stack.servers.processes["valkey"].kill()
        stack.servers.processes["valkey"].wait()
        time.sleep(DOWN_S)
        stack.servers.start_valkey()
        before = len(load.whole)
        await_that(lambda seen=before: len(load.whole) >= seen + CALLERS, "calls are answered again", timeout_s=END_S)
    load.stop()
    assert_ends_are_good(load)
