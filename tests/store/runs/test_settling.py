"""What is charged is what was made; it is charged once, and shared out to the unit."""

from __future__ import annotations

import logging

import pytest
from django.utils import timezone
from uuid_utils.compat import uuid7

from store.accounts.models import User
from store.catalog.models import Listing, Price
from store.keys.actions import IssuedKey, update_key
from store.keys.models import ApiKey, BudgetUse, KeyUse, Period
from store.ledger.actions import store_wallet, wallet_of
from store.ledger.models import Hold, HoldStatus, Transfer, TransferKind, Wallet, WalletKind
from store.runs.actions import open_runs, settle_runs
from store.runs.books import OpenRun, SettledRun, SettleRun
from store.runs.models import Run, RunStatus
from tests.conftest import make_listing
from tests.store.runs.conftest import RequestMaker

pytestmark = pytest.mark.django_db


def settle(request: OpenRun, status: RunStatus = RunStatus.SUCCEEDED, tokens: int = 20, **fields: object) -> SettledRun:
    (settled,) = settle_runs(
        [SettleRun(run_id=request.run_id, status=status, output_tokens=tokens, **fields)]  # type: ignore[arg-type]
    )
    return settled


@pytest.fixture
def opened(request_of: RequestMaker) -> OpenRun:
    request = request_of()
    open_runs([request])
    return request


def test_a_charge_is_captured_and_shared(opened: OpenRun, wallet: Wallet, provider: User) -> None:
    settled = settle(opened, finish_reason="stop", worker="w1", attempts=2, first_token_ms=35)
    assert settled == SettledRun(run_id=opened.run_id, charge_nano=18_000, now=True)
    run = Run.objects.get()
    assert (run.status, run.output_tokens, run.charge_nano) == (RunStatus.SUCCEEDED, 20, 18_000)
    assert (run.finish_reason, run.worker, run.attempts, run.first_token_ms) == ("stop", "w1", 2, 35)
    assert run.settled_at is not None
    assert (run.hold.status, run.hold.captured_nano) == (HoldStatus.CAPTURED, 18_000)
    wallet.refresh_from_db()
    assert (wallet.posted_nano, wallet.held_nano) == (10 * 10**9 - 18_000, 0)
    assert wallet_of(provider.personal_organization.id, WalletKind.EARNINGS).posted_nano == 15_300
    assert store_wallet(WalletKind.PLATFORM).posted_nano == 2_700
    assert dict(Transfer.objects.filter(key__startswith="run:").values_list("key", "kind")) == {
        f"run:{opened.run_id}:provider": TransferKind.USAGE,
        f"run:{opened.run_id}:platform": TransferKind.COMMISSION,
    }
    assert KeyUse.objects.get().open_runs == 0
    last_used_at = ApiKey.objects.get().last_used_at
    assert last_used_at is not None
    assert last_used_at <= timezone.now()


@pytest.mark.parametrize("second", [RunStatus.SUCCEEDED, RunStatus.FAILED, RunStatus.CANCELLED])
def test_settling_twice_moves_money_once(opened: OpenRun, wallet: Wallet, second: RunStatus) -> None:
    settle(opened)
    assert settle(opened, second, 50) == SettledRun(run_id=opened.run_id, charge_nano=18_000, now=False)
    wallet.refresh_from_db()
    assert wallet.posted_nano == 10 * 10**9 - 18_000
    assert Run.objects.get().output_tokens == 20


def test_two_endings_in_one_batch_count_once(opened: OpenRun) -> None:
    endings = [SettleRun(run_id=opened.run_id, status=RunStatus.SUCCEEDED, output_tokens=tokens) for tokens in (20, 50)]
    answers = settle_runs(endings)
    assert [(answer.charge_nano, answer.now) for answer in answers] == [(18_000, True), (18_000, False)]


@pytest.mark.parametrize("status", [RunStatus.FAILED, RunStatus.CANCELLED])
def test_an_end_before_the_first_token_costs_nothing(opened: OpenRun, wallet: Wallet, status: RunStatus) -> None:
    assert settle(opened, status, 0).charge_nano == 0
    assert Hold.objects.get().status == HoldStatus.VOIDED
    wallet.refresh_from_db()
    assert (wallet.posted_nano, wallet.held_nano) == (10 * 10**9, 0)
    assert not Transfer.objects.filter(key__startswith="run:").exists()


@pytest.mark.parametrize("status", [RunStatus.FAILED, RunStatus.CANCELLED])
def test_an_end_after_the_first_token_pays_for_what_was_made(opened: OpenRun, status: RunStatus) -> None:
    assert settle(opened, status, 3).charge_nano == 100 * 100 + 3 * 400


def test_cached_input_has_its_own_price(opened: OpenRun) -> None:
    assert settle(opened, cached_tokens=60).charge_nano == 40 * 100 + 60 * 50 + 20 * 400


def test_a_worker_that_claims_too_much_is_cut_off_at_the_hold(
    opened: OpenRun, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        settled = settle(opened, tokens=51, cached_tokens=10**6, worker="liar")
    assert settled.charge_nano == 100 * 50 + 50 * 400
    assert "liar claims 51 tokens of 50" in caplog.text
    assert Run.objects.get().output_tokens == 50


def test_the_price_is_the_one_of_the_hold(opened: OpenRun, listing: Listing) -> None:
    Price.objects.create(listing=listing, input_nano=10**12, cached_input_nano=0, output_nano=10**12)
    assert settle(opened).charge_nano == 18_000


def test_a_free_run_moves_nothing(request_of: RequestMaker, provider: User) -> None:
    free = make_listing(provider.personal_organization, "free", input_nano=0, output_nano=0)
    request = request_of(listing_id=free.id, release_id=free.current_release_id)
    open_runs([request])
    assert settle(request) == SettledRun(run_id=request.run_id, charge_nano=0, now=True)
    assert not Transfer.objects.filter(key__startswith="run:").exists()


def test_a_charge_too_small_to_share_goes_to_the_provider(request_of: RequestMaker, provider: User) -> None:
    cheap = make_listing(provider.personal_organization, "cheap", input_nano=1, output_nano=1)
    request = request_of(listing_id=cheap.id, release_id=cheap.current_release_id)
    open_runs([request])
    assert settle(request).charge_nano == 1
    assert Transfer.objects.get(key__startswith="run:").kind == TransferKind.USAGE


def test_budgets_keep_what_was_charged_and_get_back_the_rest(
    request_of: RequestMaker, issued_key: IssuedKey, consumer: User, listing: Listing
) -> None:
    update_key(
        api_key=issued_key.api_key,
        user=consumer,
        name="x",
        listings=[listing],
        budgets=[(None, Period.DAY, 10**9), (listing, Period.TOTAL, 10**9)],
    )
    requests = [request_of() for _ in range(3)]
    open_runs(requests)
    assert set(BudgetUse.objects.values_list("used_nano", flat=True)) == {90_000}
    settle(requests[0])
    settle(requests[1], RunStatus.FAILED, 0)
    assert list(BudgetUse.objects.values_list("used_nano", flat=True)) == [48_000, 48_000]


def test_a_budget_that_was_taken_away_meanwhile_is_no_obstacle(
    request_of: RequestMaker, issued_key: IssuedKey, consumer: User, listing: Listing
) -> None:
    update_key(
        api_key=issued_key.api_key, user=consumer, name="x", listings=[listing], budgets=[(None, Period.DAY, 10**9)]
    )
    request = request_of()
    open_runs([request])
    update_key(api_key=issued_key.api_key, user=consumer, name="x", listings=[listing])
    assert settle(request).charge_nano == 18_000


def test_a_run_that_never_was_is_answered(db: None) -> None:
    run_id = uuid7()
    answer = settle_runs([SettleRun(run_id=run_id, status=RunStatus.FAILED, output_tokens=0)])
    assert answer == [SettledRun(run_id=run_id, charge_nano=0, now=False)]


def test_what_a_worker_says_of_itself_cannot_keep_a_run_open(opened: OpenRun) -> None:
    settle(opened, worker="\0" + "x" * 500, error_code="y" * 500, finish_reason="z" * 500, attempts=10**9)
    assert Run.objects.get().status == RunStatus.SUCCEEDED


@pytest.mark.parametrize(("status", "tokens"), [(RunStatus.OPEN, 1), (RunStatus.SUCCEEDED, -1)])
def test_an_ending_that_is_none_is_refused(opened: OpenRun, status: RunStatus, tokens: int) -> None:
    with pytest.raises(ValueError, match="cannot end"):
        settle(opened, status, tokens)
    assert Run.objects.get().status == RunStatus.OPEN
