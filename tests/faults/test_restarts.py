"""Everything is restarted under load, one process after the other, and no client notices."""

from __future__ import annotations

import signal

import pytest

from store.runs.models import Run, RunStatus
from tests.faults.calls import END_S, Ask, Call, assert_books_are_right, assert_charged_once
from tests.faults.test_redis import Load
from tests.stack import Part, Shop, Stack
from tests.waiting import await_that

pytestmark = [pytest.mark.fault, pytest.mark.timeout(3600)]

ROUNDS, FULL_ROUNDS = 1, 10


def test_rolling_restarts_cost_no_client_an_error(stack: Stack, shop: Shop, full: bool) -> None:
    webs, gpus = stack.start_web(2), stack.start_gpu(2)
    load = Load(stack, shop)
    await_that(lambda: len(load.whole) > 0, "the load is under way")
    for _ in range(FULL_ROUNDS if full else ROUNDS):
        for parts, start in ((webs, stack.start_web), (gpus, stack.start_gpu)):
            for part in list(parts):
                assert part.terminate() in (0, -signal.SIGTERM)  # uvicorn says what it was told
                parts.remove(part)
                parts += start()
    before = len(load.whole)
    await_that(lambda: len(load.whole) > before, "calls are answered")
    load.stop()
    assert [call.error for call in load.calls if call.error] == []
    assert_books_are_right()
    assert_charged_once(load.calls)


def test_the_runs_of_a_killed_web_process_are_settled_by_what_was_made(stack: Stack, shop: Shop) -> None:
    stack.start_cpu()
    stack.start_gpu()
    (web,) = stack.start_web()
    others: list[Part] = [part for part in stack.parts if part.name == "web" and part is not web]
    for part in others:
        part.kill()  # so that the call is answered by the one that is to die
    calls = [Call(stack, shop, Ask(prompt=f"Call {n}", max_tokens=1500)) for n in range(2)]
    for call in calls:
        call.await_text(50)
    web.signal(signal.SIGKILL)
    for call in calls:
        call.join(END_S)
        assert call.error is not None
    assert_books_are_right()
    for call in calls:
        run = Run.objects.get(id=call.run_id)
        whole = run.status == RunStatus.SUCCEEDED  # its worker came to the end before anybody stopped it
        assert run.output_tokens == call.ask.max_tokens if whole else 0 < run.output_tokens < call.ask.max_tokens
        assert run.charge_nano > 0
