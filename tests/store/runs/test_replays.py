"""The same request again, under the same Idempotency-Key, is answered from the first and charged once."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone
from uuid_utils.compat import uuid7

from store.accounts.models import User
from store.ledger.models import Wallet
from store.runs.actions import delete_old_replays, open_runs, settle_runs
from store.runs.books import (
    OpenAnswer,
    OpenedRun,
    ReplayFound,
    ReplayInProgress,
    ReplayKey,
    ReplayMismatch,
    SettleRun,
)
from store.runs.models import Replay, Run, RunStatus
from tests.store.runs.conftest import RequestMaker

pytestmark = pytest.mark.django_db

KEY = ReplayKey(key='a "key" with \\ and {,}', body_sha256=bytes(range(32)))
OTHER_BODY = ReplayKey(key=KEY.key, body_sha256=bytes(32))


def ask(request_of: RequestMaker, replay: ReplayKey = KEY, **changes: object) -> OpenAnswer:
    (answer,) = open_runs([request_of(replay=replay, **changes)])
    return answer


def end(
    opened: OpenAnswer, chunks: bytes | None = b"[1]", *, status: RunStatus = RunStatus.SUCCEEDED, tokens: int = 20
) -> None:
    assert isinstance(opened, OpenedRun), opened
    settle_runs([SettleRun(run_id=opened.run_id, status=status, output_tokens=tokens, replay_chunks=chunks)])


def test_the_answer_is_found_and_charged_once(request_of: RequestMaker, wallet: Wallet) -> None:
    first = ask(request_of)
    end(first)
    assert isinstance(first, OpenedRun)
    assert ask(request_of) == ReplayFound(run_id=first.run_id, chunks=b"[1]", prompt_tokens=100, max_tokens=50)
    assert Run.objects.count() == 1
    wallet.refresh_from_db()
    assert (wallet.posted_nano, wallet.held_nano) == (10 * 10**9 - 18_000, 0)


def test_the_first_is_still_being_served(request_of: RequestMaker) -> None:
    ask(request_of)
    again = ask(request_of)
    assert isinstance(again, ReplayInProgress)
    assert again.retry_after_s == 1


def test_twice_in_one_batch_opens_once(request_of: RequestMaker) -> None:
    answers = open_runs([request_of(replay=KEY), request_of(replay=KEY), request_of(replay=OTHER_BODY)])
    assert [type(answer) for answer in answers] == [OpenedRun, ReplayInProgress, ReplayMismatch]


def test_another_body_under_the_same_key_is_refused(request_of: RequestMaker) -> None:
    end(ask(request_of))
    assert isinstance(ask(request_of, OTHER_BODY), ReplayMismatch)


def test_a_key_belongs_to_who_used_it(request_of: RequestMaker, consumer: User) -> None:
    end(ask(request_of))
    assert isinstance(ask(request_of, api_key_id=None, user_id=consumer.id), OpenedRun)


@pytest.mark.parametrize("status", [RunStatus.FAILED, RunStatus.CANCELLED])
def test_what_failed_with_nothing_made_can_be_asked_again(request_of: RequestMaker, status: RunStatus) -> None:
    end(ask(request_of), status=status, tokens=0)
    assert isinstance(ask(request_of), OpenedRun)


def test_what_ended_without_an_answer_can_be_asked_again(request_of: RequestMaker) -> None:
    end(ask(request_of), None, status=RunStatus.CANCELLED, tokens=5)
    assert isinstance(ask(request_of), OpenedRun)


def test_a_refused_request_leaves_its_key_free(request_of: RequestMaker) -> None:
    open_runs([request_of(replay=KEY, listing_id=0)])
    assert isinstance(ask(request_of), OpenedRun)


def test_after_a_day_the_key_is_free(request_of: RequestMaker) -> None:
    end(ask(request_of))
    Replay.objects.update(created_at=timezone.now() - timedelta(hours=24, seconds=1))
    second = ask(request_of, OTHER_BODY)
    assert isinstance(second, OpenedRun)
    assert Replay.objects.get().run_id == second.run_id
    end(second, b"[2]")
    third = ask(request_of, OTHER_BODY)
    assert isinstance(third, ReplayFound)
    assert third.chunks == b"[2]"


def test_old_answers_are_forgotten_and_young_ones_kept(request_of: RequestMaker) -> None:
    for _ in range(3):
        end(ask(request_of, ReplayKey(key=str(uuid7()), body_sha256=bytes(32))))
    old = Replay.objects.values_list("id", flat=True)[:2]
    Replay.objects.filter(id__in=list(old)).update(created_at=timezone.now() - timedelta(hours=24, seconds=1))
    assert delete_old_replays() == 2
    assert Replay.objects.count() == 1
    assert delete_old_replays() == 0
