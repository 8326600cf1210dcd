"""What arrives together shares a transaction; what fails, fails alone."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Sequence

import pytest
from asgiref.sync import sync_to_async
from django.db import DataError, IntegrityError, connection

from store.errors import Conflict, Unavailable
from store.ledger.models import Wallet
from store.ledger.sql import execute
from store.runs.actions import open_runs, settle_runs
from store.runs.books import InsufficientCredit, OpenAnswer, OpenedRun, OpenRun, SettledRun, SettleRun
from store.runs.group_commit import GroupCommit
from store.runs.models import Run, RunStatus
from tests.store.runs.conftest import RequestMaker
from tests.waiting import PATIENCE_S

Commit = Callable[[Sequence[int]], Sequence[int | Exception]]
Maker = Callable[[Commit], GroupCommit[int, int]]


@pytest.fixture
async def group() -> AsyncGenerator[Maker, None]:
    """Makes a group that is closed at the end of the test."""
    made: list[GroupCommit[int, int]] = []

    def make(commit: Commit) -> GroupCommit[int, int]:
        made.append(GroupCommit(commit, name="test", max_batch=10))
        return made[-1]

    yield make
    for one in made:
        await asyncio.to_thread(one.close)


async def test_what_arrives_during_a_batch_makes_the_next(group: Maker) -> None:
    sizes, first_is_in, go_on = [], threading.Event(), threading.Event()

    def commit(items: Sequence[int]) -> list[int | Exception]:
        sizes.append(len(items))
        first_is_in.set()
        assert go_on.wait(PATIENCE_S)
        return [item * 2 for item in items]

    doubler = group(commit)
    first = asyncio.create_task(doubler.submit(0))
    assert await asyncio.to_thread(first_is_in.wait, PATIENCE_S)
    rest = [asyncio.create_task(doubler.submit(number)) for number in range(1, 25)]
    await asyncio.sleep(0)  # they are all waiting now
    go_on.set()
    assert await asyncio.gather(first, *rest) == [number * 2 for number in range(25)]
    assert sizes == [1, 10, 10, 4]


async def test_an_answer_that_is_an_error_is_raised_to_its_submitter_only(group: Maker) -> None:
    odd = group(lambda items: [Conflict() if item % 2 else item for item in items])
    answers = await asyncio.gather(*(odd.submit(number) for number in range(10)), return_exceptions=True)
    assert [isinstance(answer, Conflict) for answer in answers] == [bool(number % 2) for number in range(10)]


@pytest.mark.parametrize("poison", [DataError, IntegrityError, TypeError])
async def test_a_poisoned_item_fails_alone(group: Maker, poison: type[Exception]) -> None:
    def commit(items: Sequence[int]) -> Sequence[int]:
        if 7 in items:
            raise poison("seven")
        return items

    picky = group(commit)
    answers = await asyncio.gather(*(picky.submit(number) for number in range(10)), return_exceptions=True)
    assert isinstance(answers[7], poison)
    assert [answer for answer in answers if not isinstance(answer, Exception)] == [0, 1, 2, 3, 4, 5, 6, 8, 9]


async def test_a_submitter_that_gives_up_does_not_stop_its_item(group: Maker) -> None:
    done: list[int] = []
    go_on = threading.Event()

    def commit(items: Sequence[int]) -> Sequence[int]:
        assert go_on.wait(PATIENCE_S)
        done.extend(items)
        return items

    slow = group(commit)
    given_up, other = (asyncio.create_task(slow.submit(number)) for number in (1, 2))
    await asyncio.sleep(0)
    given_up.cancel()
    go_on.set()
    assert await other == 2
    assert sorted(done) == [1, 2]


async def test_closing_carries_through_what_was_submitted(group: Maker) -> None:
    plain = group(lambda items: items)
    waiting = [asyncio.create_task(plain.submit(number)) for number in range(30)]
    await asyncio.sleep(0)
    await asyncio.to_thread(plain.close)
    assert await asyncio.gather(*waiting) == list(range(30))
    with pytest.raises(Unavailable):
        await plain.submit(1)


def test_threads_can_wait_too() -> None:
    plain: GroupCommit[int, int] = GroupCommit(lambda items: items, name="test")
    assert [plain.submit_from_thread(number).result(PATIENCE_S) for number in range(3)] == [0, 1, 2]
    plain.close()


@pytest.mark.django_db(transaction=True)
async def test_requests_and_endings_share_transactions(request_of: RequestMaker, wallet: Wallet) -> None:
    opens: GroupCommit[OpenRun, OpenAnswer] = GroupCommit(open_runs, name="opens")
    settles: GroupCommit[SettleRun, SettledRun] = GroupCommit(settle_runs, name="settles")
    requests = [request_of() for _ in range(40)]
    beyond = request_of(prompt_tokens=10**9)
    poisoned = request_of(request_id="\0")
    answers = await asyncio.gather(*(opens.submit(r) for r in [*requests, beyond, poisoned]), return_exceptions=True)
    assert [type(answer) for answer in answers[:41]] == [OpenedRun] * 40 + [InsufficientCredit]
    assert isinstance(answers[41], Exception)
    endings = [SettleRun(run_id=r.run_id, status=RunStatus.SUCCEEDED, output_tokens=20) for r in requests]
    settled = await asyncio.gather(*(settles.submit(ending) for ending in endings))
    assert all(one.now and one.charge_nano == 18_000 for one in settled)
    await asyncio.to_thread(opens.close)
    await asyncio.to_thread(settles.close)
    assert await Run.objects.acount() == 40


@pytest.mark.django_db(transaction=True)
async def test_a_lost_connection_is_unavailable_once_and_then_made_anew(group: Maker) -> None:
    def kill_own_connection(items: Sequence[int]) -> Sequence[int]:
        if 1 in items:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")
        return [execute("SELECT %s::int", item)[0][0] for item in items]

    fragile = group(kill_own_connection)
    assert await fragile.submit(0) == 0
    with pytest.raises(Unavailable) as away:
        await fragile.submit(1)
    assert away.value.retry_after_s == 1
    assert await fragile.submit(2) == 2


@pytest.mark.django_db(transaction=True)
async def test_a_server_restarted_between_two_requests_is_not_noticed(
    group: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("store.runs.group_commit.IDLE_S", 0)
    asking = group(lambda items: [execute("SELECT pg_backend_pid()")[0][0] for _ in items])
    pid = await asking.submit(0)
    await sync_to_async(execute)("SELECT pg_terminate_backend(%s::int, 5000)", pid)
    assert await asking.submit(0) != pid
