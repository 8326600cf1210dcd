"""Postgres stops in the middle of streams, and is started again: settled later, never free, never twice."""

from __future__ import annotations

import signal
import time

import openai
import pytest
from django.db import connection

from store.runs.models import Run
from tests.faults.calls import Ask, Call, assert_books_are_right, assert_charged_once
from tests.stack import Part, Shop, Stack

pytestmark = [pytest.mark.fault, pytest.mark.timeout(3600)]

ROUNDS, FULL_ROUNDS = 1, 10
CALLS = 4
TOKENS = 400
STOPS = (signal.SIGINT, signal.SIGKILL)  # Postgres's fast shutdown, and none at all


@pytest.fixture(scope="module")
def parts(stack: Stack, shop: Shop) -> list[Part]:
    return [*stack.start_web(2), *stack.start_gpu(1)]


@pytest.mark.parametrize("how", STOPS)
def test_streams_outlive_postgres_and_are_charged_once_it_is_back(
    stack: Stack, shop: Shop, parts: list[Part], full: bool, how: signal.Signals
) -> None:
    for _ in range(FULL_ROUNDS if full else ROUNDS):
        calls = [Call(stack, shop, Ask(prompt=f"Call {n}", max_tokens=TOKENS)) for n in range(CALLS)]
        for call in calls:
            call.await_text(1)
        connection.close()
        postgres = stack.servers.processes["postgres"]
        postgres.send_signal(how)
        postgres.wait()
        try:
            for call in calls:
                call.finish()  # the client is not kept waiting by the books
            refused = Call(stack, shop, Ask(prompt="Nobody can hold this", max_tokens=8))
            refused.join(30)
            assert isinstance(refused.error, openai.APIStatusError)
            assert refused.error.status_code == 503
        finally:
            time.sleep(1)  # the gateways have found it away by now
            stack.servers.start_postgres()
        assert_books_are_right()
        assert_charged_once(calls)
        after = Call(stack, shop, Ask(prompt="And again", max_tokens=8))
        after.finish()
    assert_books_are_right()
    assert not Run.objects.filter(charge_nano=0, output_tokens__gt=0).exists()
