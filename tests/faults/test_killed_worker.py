"""A GPU worker dies, or stops for a while, in the middle of its streams: a pause, not an error."""

from __future__ import annotations

import random
import signal
import time

import pytest

from store.runs.models import Run
from tests.faults.calls import Ask, Call, assert_books_are_right, assert_charged_once, serving
from tests.stack import LEASES, Part, Shop, Stack
from tests.waiting import await_that

pytestmark = [pytest.mark.fault, pytest.mark.timeout(3600)]

KILLS, FULL_KILLS = 3, 30
TOKENS = 400
ASKS = [
    Ask(prompt="Shall I compare thee", max_tokens=TOKENS),
    Ask(prompt="to a summer's day?", max_tokens=TOKENS, temperature=1.0, seed=12),
    Ask(prompt="Thou art more lovely", max_tokens=TOKENS, temperature=0.8, seed=2**40),
]


@pytest.fixture(scope="module")
def workers(stack: Stack, shop: Shop) -> list[Part]:
    """Two GPU workers beside one web process."""
    stack.start_web()
    return stack.start_gpu(2)


@pytest.fixture(scope="module")
def undisturbed(stack: Stack, shop: Shop, workers: list[Part]) -> dict[Ask, str]:
    """What each ask is answered when nothing happens."""
    calls = [Call(stack, shop, ask) for ask in ASKS]
    for call in calls:
        call.finish()
    return {call.ask: call.text for call in calls}


def await_reports(stack: Stack, workers: list[Part]) -> None:
    await_that(lambda: all(stack.report(part) for part in workers), "every worker reports", timeout_s=90)


def test_streams_go_on_when_their_worker_is_killed(
    stack: Stack, shop: Shop, workers: list[Part], undisturbed: dict[Ask, str], full: bool
) -> None:
    kills = FULL_KILLS if full else KILLS
    chance = random.Random(2026)
    cut_off = 0
    for _ in range(kills):
        await_reports(stack, workers)
        calls = [Call(stack, shop, ask) for ask in ASKS]
        victim = chance.choice(calls)
        victim.await_text(chance.randrange(1, len(undisturbed[victim.ask]) * 3 // 4))
        worker = serving(stack, victim, workers)
        cut_off += sum(not call.ended for call in calls)
        worker.kill()
        workers.remove(worker)
        workers += stack.start_gpu(wait=False)
        for call in calls:
            call.finish()
            assert call.text == undisturbed[call.ask]
        assert_charged_once(calls)
    assert cut_off >= kills  # it was not always too late
    assert Run.objects.filter(attempts__gt=1).count() >= kills * 2 // 3
    assert_books_are_right()


def test_nothing_is_heard_of_a_worker_that_was_stopped_past_its_lease(
    stack: Stack, shop: Shop, workers: list[Part], undisturbed: dict[Ask, str]
) -> None:
    await_reports(stack, workers)
    calls = [Call(stack, shop, ask) for ask in ASKS]
    for call in calls:
        call.await_text(20)
    worker = serving(stack, calls[0], workers)
    worker.signal(signal.SIGSTOP)
    stopped_at = time.monotonic()
    heard = len(calls[0].text)
    await_that(
        lambda: (
            time.monotonic() - stopped_at > float(LEASES["RUN_LEASE_S"])
            and (calls[0].ended or len(calls[0].text) > heard)
        ),
        "another worker goes on",
    )
    worker.signal(signal.SIGCONT)
    for call in calls:
        call.finish()
        assert call.text == undisturbed[call.ask]
    await_that(lambda: stack.report(worker), "the worker that came back reports")
    assert_charged_once(calls)
    assert_books_are_right()
