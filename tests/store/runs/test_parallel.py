"""Under any parallelism a balance for 70 serves exactly 70. The full count, through processes, is tests/faults/test_balance.py."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest
from django.db import connection

from store.billing.actions import top_up_test
from store.catalog.models import Listing
from store.keys.actions import issue_key
from store.keys.models import ApiKey, KeyUse
from store.ledger.audit import audit
from store.ledger.models import Wallet
from store.runs.actions import open_runs, settle_runs
from store.runs.books import (
    InsufficientCredit,
    OpenAnswer,
    OpenedRun,
    OpenRun,
    ReplayInProgress,
    ReplayKey,
    SettledRun,
    SettleRun,
)
from store.runs.models import Run, RunStatus
from tests.conftest import DOLLAR, make_user
from tests.store.runs.conftest import RequestMaker
from tests.store.runs.test_opening import WORST_NANO, leave

pytestmark = pytest.mark.django_db(transaction=True)

THREADS = 6


def split(items: list[OpenRun], seed: int) -> list[list[OpenRun]]:
    """Batches of one to nine, as chance has it."""
    chance, batches = random.Random(seed), []
    while items:
        size = chance.randint(1, 9)
        batches.append(items[:size])
        items = items[size:]
    return batches


def open_in_thread(batch: list[OpenRun]) -> list[OpenAnswer]:
    try:
        return open_runs(batch)
    finally:
        connection.close()


def settle_in_thread(run_ids: list[UUID]) -> list[SettledRun]:
    try:
        return settle_runs(
            [SettleRun(run_id=run_id, status=RunStatus.SUCCEEDED, output_tokens=50) for run_id in run_ids]
        )
    finally:
        connection.close()


@pytest.mark.parametrize("seed", range(2))
def test_a_balance_for_seventy_serves_seventy_of_a_hundred(request_of: RequestMaker, wallet: Wallet, seed: int) -> None:
    leave(wallet, 70 * WORST_NANO)
    batches = split([request_of() for _ in range(100)], seed)
    with ThreadPoolExecutor(THREADS) as threads:
        answers = [answer for batch in threads.map(open_in_thread, batches) for answer in batch]
    assert sum(isinstance(answer, OpenedRun) for answer in answers) == 70
    assert sum(isinstance(answer, InsufficientCredit) for answer in answers) == 30
    wallet.refresh_from_db()
    assert wallet.available_nano == 0


def test_opens_and_settles_of_many_organizations_never_deadlock(request_of: RequestMaker, listing: Listing) -> None:
    """Batches name the same organizations in different orders, opened and settled at once; each ending is told twice."""
    payers = []
    for number in range(8):
        user = make_user(f"payer{number}")
        top_up_test(organization=user.personal_organization, user=user, amount_nano=DOLLAR)
        key = issue_key(organization=user.personal_organization, user=user, name="x", listings=[listing]).api_key
        payers.append({"organization_id": key.organization_id, "api_key_id": key.id})
    chance = random.Random(7)

    def open_and_settle(batch: list[OpenRun]) -> int:
        opened = [answer.run_id for answer in open_in_thread(batch) if isinstance(answer, OpenedRun)]
        chance.shuffle(opened)
        return sum(settled.now for _ in range(2) for settled in settle_in_thread(opened))

    batches = [[request_of(**payer) for payer in chance.sample(payers, len(payers))] for _ in range(40)]
    with ThreadPoolExecutor(THREADS) as threads:
        assert sum(threads.map(open_and_settle, batches)) == 320
    assert Run.objects.filter(status=RunStatus.SUCCEEDED).count() == 320
    assert audit() == []


def test_one_idempotency_key_opens_once_however_many_ask(request_of: RequestMaker) -> None:
    replay = ReplayKey(key="once", body_sha256=bytes(32))
    with ThreadPoolExecutor(THREADS) as threads:
        answers = [
            answer for (answer,) in threads.map(open_in_thread, [[request_of(replay=replay)] for _ in range(20)])
        ]
    assert sum(isinstance(answer, OpenedRun) for answer in answers) == 1
    assert sum(isinstance(answer, ReplayInProgress) for answer in answers) == 19
    assert KeyUse.objects.get().open_runs == 1


def test_a_key_for_five_at_once_opens_five(request_of: RequestMaker) -> None:
    ApiKey.objects.update(max_parallel=5)
    with ThreadPoolExecutor(THREADS) as threads:
        answers = [answer for (answer,) in threads.map(open_in_thread, [[request_of()] for _ in range(20)])]
    assert sum(isinstance(answer, OpenedRun) for answer in answers) == 5
