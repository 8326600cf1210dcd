"""A listing's free allowance: taken before any money, never twice, given back where it was not needed."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from django.db import IntegrityError, connection, transaction

from store.accounts.models import User
from store.catalog.models import Listing, Price
from store.keys.actions import IssuedKey, issue_key, update_key
from store.keys.models import BudgetUse, Period
from store.ledger.actions import wallet_of
from store.ledger.audit import audit
from store.ledger.models import HoldStatus, Wallet, WalletKind
from store.runs.actions import expire_holds, open_runs, settle_runs
from store.runs.books import InsufficientCredit, OpenedRun, OpenRun, SettledRun, SettleRun
from store.runs.models import FreeUse, Gateway, Run, RunStatus
from tests.conftest import make_listing, make_user
from tests.store.runs.conftest import RequestMaker
from tests.store.runs.test_opening import WORST_NANO, leave, open_one

pytestmark = pytest.mark.django_db


def allow(listing: Listing, free_nano: int) -> Price:
    """From now on, the same price with a free allowance."""
    return Price.objects.create(
        listing=listing, input_nano=100_000_000, cached_input_nano=50_000_000, output_nano=400_000_000, free_nano=free_nano
    )  # fmt: skip


def settle(request: OpenRun, tokens: int, status: RunStatus = RunStatus.SUCCEEDED) -> SettledRun:
    (settled,) = settle_runs([SettleRun(run_id=request.run_id, status=status, output_tokens=tokens)])
    return settled


def used() -> int:
    return FreeUse.objects.get().used_nano


def test_the_allowance_is_taken_before_money_is_held(request_of: RequestMaker, listing: Listing) -> None:
    allow(listing, 50_000)
    first, second, third = request_of(), request_of(), request_of()
    assert [open_one(request).held_nano for request in (first, second, third)] == [0, 10_000, WORST_NANO]
    assert used() == 50_000
    assert [run.free_nano for run in Run.objects.order_by("id")] == [30_000, 20_000, 0]


def test_what_a_run_did_not_need_is_free_for_the_next(
    request_of: RequestMaker, listing: Listing, wallet: Wallet
) -> None:
    allow(listing, 50_000)
    first = request_of()
    open_one(first)
    assert settle(first, 20).charge_nano == 0
    run = Run.objects.get()
    assert (run.charge_nano, run.free_nano, run.hold.status) == (0, 18_000, HoldStatus.CAPTURED)
    assert used() == 18_000
    second = request_of()
    assert open_one(second).held_nano == 0
    assert settle(second, 50).charge_nano == 0
    third = request_of()
    assert open_one(third).held_nano == 28_000
    assert settle(third, 50).charge_nano == 28_000
    wallet.refresh_from_db()
    assert (wallet.posted_nano, wallet.held_nano) == (10 * 10**9 - 28_000, 0)


def test_the_provider_is_paid_for_what_was_charged_only(request_of: RequestMaker, listing: Listing) -> None:
    allow(listing, 10_000)
    request = request_of()
    open_one(request)
    assert settle(request, 20).charge_nano == 8_000
    assert wallet_of(listing.organization_id, WalletKind.EARNINGS).posted_nano == 6_800


def test_an_organization_without_credit_calls_within_the_allowance(
    request_of: RequestMaker, listing: Listing, stranger: User
) -> None:
    allow(listing, 2 * WORST_NANO + 5_000)
    key = issue_key(organization=stranger.personal_organization, user=stranger, name="x", listings=[listing]).api_key
    payer = {"organization_id": key.organization_id, "api_key_id": key.id}
    answers = open_runs([request_of(**payer) for _ in range(4)])
    assert [type(answer) for answer in answers] == [OpenedRun, OpenedRun, InsufficientCredit, InsufficientCredit]
    assert used() == 2 * WORST_NANO


def test_without_a_limit_an_answer_is_as_long_as_allowance_and_credit_pay_for(
    request_of: RequestMaker, listing: Listing, wallet: Wallet
) -> None:
    allow(listing, 20_000)
    leave(wallet, 10_000)
    opened = open_one(request_of(max_tokens=None))
    assert (opened.max_tokens, opened.held_nano) == (50, 10_000)


@pytest.mark.parametrize("status", [RunStatus.FAILED, RunStatus.CANCELLED])
def test_a_run_that_came_to_nothing_gives_everything_back(
    request_of: RequestMaker, listing: Listing, status: RunStatus
) -> None:
    allow(listing, 50_000)
    request = request_of()
    open_one(request)
    settle(request, 0, status)
    assert (used(), Run.objects.get().free_nano) == (0, 0)


def test_a_cancelled_run_takes_what_was_made(request_of: RequestMaker, listing: Listing) -> None:
    allow(listing, 50_000)
    request = request_of()
    open_one(request)
    assert settle(request, 3, RunStatus.CANCELLED).charge_nano == 0
    assert used() == 100 * 100 + 3 * 400


def test_an_expired_run_gives_everything_back(request_of: RequestMaker, listing: Listing) -> None:
    allow(listing, 50_000)
    open_runs([request_of()], at=datetime(2026, 1, 1, tzinfo=UTC))
    Gateway.objects.update(steady_since=datetime(2026, 1, 1, tzinfo=UTC))
    assert expire_holds() == 1
    assert used() == 0


def test_settling_twice_gives_back_once(request_of: RequestMaker, listing: Listing) -> None:
    allow(listing, 50_000)
    request = request_of()
    open_one(request)
    settle(request, 20)
    settle(request, 0, RunStatus.FAILED)
    assert used() == 18_000


def test_each_month_has_its_own_allowance(request_of: RequestMaker, listing: Listing) -> None:
    allow(listing, WORST_NANO)
    months = [datetime(2026, 1, 31, 23, 59, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)]
    held = [open_one(request_of(), at=month).held_nano for month in (months[0], months[0], months[1])]
    assert held == [0, WORST_NANO, 0]
    assert FreeUse.objects.count() == 2


def test_each_listing_has_its_own_allowance(
    request_of: RequestMaker, listing: Listing, consumer: User, issued_key: IssuedKey
) -> None:
    other = make_listing(listing.organization, "other")
    update_key(api_key=issued_key.api_key, user=consumer, name="test", listings=[listing, other])
    allow(listing, WORST_NANO)
    allow(other, WORST_NANO)
    there = {"listing_id": other.pk, "release_id": other.current_release_id}
    answers = open_runs([request_of(), request_of(**there), request_of(), request_of(**there)])
    assert [answer.held_nano for answer in answers if isinstance(answer, OpenedRun)] == [0, 0, WORST_NANO, WORST_NANO]


def test_what_is_free_is_in_no_budget(
    request_of: RequestMaker, listing: Listing, consumer: User, issued_key: IssuedKey
) -> None:
    allow(listing, 20_000)
    budgets = [(listing, Period.DAY, 10_000)]
    update_key(api_key=issued_key.api_key, user=consumer, name="test", listings=[listing], budgets=budgets)
    request = request_of()
    assert open_one(request).held_nano == 10_000
    settle(request, 20)
    assert BudgetUse.objects.get().used_nano == 0


def test_a_lower_allowance_counts_what_was_used(request_of: RequestMaker, listing: Listing) -> None:
    allow(listing, 50_000)
    open_one(request_of())
    allow(listing, 10_000)
    assert open_one(request_of()).held_nano == WORST_NANO


def test_the_database_refuses_a_use_below_zero(request_of: RequestMaker, listing: Listing) -> None:
    allow(listing, 50_000)
    open_one(request_of())
    with pytest.raises(IntegrityError), transaction.atomic():
        FreeUse.objects.update(used_nano=-1)


def test_the_audit_names_a_use_that_does_not_add_up(request_of: RequestMaker, listing: Listing) -> None:
    allow(listing, 50_000)
    open_one(request_of())
    FreeUse.objects.update(used_nano=7)
    (mismatch,) = audit()
    assert (mismatch.check, mismatch.expected, mismatch.found) == ("use of a free allowance", "30000", "7")
    FreeUse.objects.update(used_nano=30_000)


@pytest.mark.django_db(transaction=True)
def test_an_allowance_for_thirty_serves_thirty_of_sixty_that_come_at_once(
    request_of: RequestMaker, listing: Listing
) -> None:
    """From an organization without a cent: nothing but the allowance can pay, and what is settled meanwhile changes nothing."""
    allow(listing, 30 * WORST_NANO + WORST_NANO - 1)
    poor = make_user("poor")
    key = issue_key(organization=poor.personal_organization, user=poor, name="x", listings=[listing]).api_key
    together = threading.Barrier(6)

    def open_ten(batch: list[OpenRun]) -> list[OpenRun]:
        try:
            together.wait(30)
            answers = [answer for request in batch for answer in open_runs([request])]
            opened = [request for request, answer in zip(batch, answers, strict=True) if isinstance(answer, OpenedRun)]
            for request in opened:
                settle(request, 50)
            return opened
        finally:
            connection.close()

    payer = {"organization_id": key.organization_id, "api_key_id": key.id}
    batches = [[request_of(**payer) for _ in range(10)] for _ in range(6)]
    with ThreadPoolExecutor(6) as threads:
        opened = sum(len(batch) for batch in threads.map(open_ten, batches))
    assert (opened, used()) == (30, 30 * WORST_NANO)
    assert wallet_of(poor.personal_organization.pk, WalletKind.CREDIT).posted_nano == 0
