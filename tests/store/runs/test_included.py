"""Tokens that a subscription includes are used before anything is held, and given back where they were not needed."""

from __future__ import annotations

import pytest
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from store.accounts.models import User
from store.catalog.models import Listing, Price
from store.ledger.models import Wallet
from store.ledger.pricing import Covered, Rates, charge, charge_beyond
from store.runs.actions import open_runs, settle_runs
from store.runs.books import InsufficientCredit, OpenedRun, SettleRun
from store.runs.models import Run, RunStatus
from store.subscriptions.actions import PlanSpec, cancel_subscription, offer_plan, subscribe
from store.subscriptions.models import Subscription
from tests.conftest import DOLLAR
from tests.store.runs.conftest import RequestMaker
from tests.store.runs.test_opening import leave

pytestmark = pytest.mark.django_db

FULL_NANO = 30_000  # of one request of request_of: 100 x 100 + 50 x 400


def have(listing: Listing, provider: User, consumer: User, **included: int) -> Subscription:
    plan = offer_plan(listing=listing, user=provider, plan=PlanSpec(name="Small", price_nano=DOLLAR, **included))
    return subscribe(organization=consumer.personal_organization, user=consumer, plan=plan)


def used(subscription: Subscription) -> tuple[int, int]:
    period = subscription.period
    return period.used_input, period.used_output


def settle(run_id: object, tokens: int, *, cached: int = 0, status: RunStatus = RunStatus.SUCCEEDED) -> int:
    [settled] = settle_runs([SettleRun(run_id=run_id, status=status, output_tokens=tokens, cached_tokens=cached)])  # type: ignore[arg-type]
    return settled.charge_nano


def test_included_tokens_are_neither_held_nor_charged(
    request_of: RequestMaker, listing: Listing, provider: User, consumer: User, wallet: Wallet
) -> None:
    subscription = have(listing, provider, consumer, included_tokens=1_000)
    request = request_of()
    [opened] = open_runs([request])
    assert isinstance(opened, OpenedRun)
    assert (opened.held_nano, used(subscription)) == (0, (100, 50))
    assert settle(request.run_id, 20) == 0
    assert used(subscription) == (100, 20)
    run = Run.objects.get(pk=request.run_id)
    assert (run.included_input, run.included_output, run.charge_nano) == (100, 20, 0)


def test_beyond_them_a_token_costs_its_price(
    request_of: RequestMaker, listing: Listing, provider: User, consumer: User
) -> None:
    subscription = have(listing, provider, consumer, included_tokens=120)
    request = request_of()
    [opened] = open_runs([request])
    assert isinstance(opened, OpenedRun)
    assert opened.held_nano == 30 * 400
    assert settle(request.run_id, 50) == 30 * 400
    assert used(subscription) == (100, 20)


def test_by_class_each_has_its_own(request_of: RequestMaker, listing: Listing, provider: User, consumer: User) -> None:
    subscription = have(listing, provider, consumer, included_input=60, included_output=1_000)
    request = request_of()
    [opened] = open_runs([request])
    assert isinstance(opened, OpenedRun)
    assert opened.held_nano == 40 * 100
    # Of 100 tokens in 70 came from the cache: the 30 others are covered first, and 30 of the cached.
    assert settle(request.run_id, 50, cached=70) == 40 * 50
    assert used(subscription) == (60, 50)


def test_parallel_requests_share_what_is_left(
    request_of: RequestMaker, listing: Listing, provider: User, consumer: User, wallet: Wallet
) -> None:
    subscription = have(listing, provider, consumer, included_tokens=400)
    leave(wallet, 0)
    requests = [request_of() for _ in range(4)]
    answers = open_runs(requests)
    assert [type(answer) for answer in answers] == [OpenedRun, OpenedRun, InsufficientCredit, InsufficientCredit]
    assert used(subscription) == (200, 100)
    assert isinstance(open_runs([request_of(prompt_tokens=80, max_tokens=20)])[0], OpenedRun)
    assert isinstance(open_runs([request_of(prompt_tokens=1, max_tokens=0)])[0], InsufficientCredit)


def test_without_max_tokens_included_ones_and_the_balance_set_the_limit(
    request_of: RequestMaker, listing: Listing, provider: User, consumer: User, wallet: Wallet
) -> None:
    have(listing, provider, consumer, included_tokens=130)
    leave(wallet, 7 * 400 + 399)
    [opened] = open_runs([request_of(max_tokens=None)])
    assert isinstance(opened, OpenedRun)
    assert (opened.max_tokens, opened.held_nano) == (30 + 7, 7 * 400)


def test_they_come_before_the_free_allowance(
    request_of: RequestMaker, listing: Listing, provider: User, consumer: User
) -> None:
    Price.objects.create(
        listing=listing, input_nano=100_000_000, cached_input_nano=50_000_000, output_nano=400_000_000, free_nano=5_000
    )
    have(listing, provider, consumer, included_tokens=120)
    request = request_of()
    open_runs([request])
    assert settle(request.run_id, 50) == 30 * 400 - 5_000
    assert Run.objects.get(pk=request.run_id).free_nano == 5_000


def test_a_run_that_fails_gives_all_back(
    request_of: RequestMaker, listing: Listing, provider: User, consumer: User
) -> None:
    subscription = have(listing, provider, consumer, included_tokens=120)
    request = request_of()
    open_runs([request])
    assert settle(request.run_id, 0, status=RunStatus.FAILED) == 0
    assert used(subscription) == (0, 0)


def test_what_a_request_costs_besides_is_charged(
    request_of: RequestMaker, listing: Listing, provider: User, consumer: User
) -> None:
    Price.objects.create(listing=listing, input_nano=1, cached_input_nano=1, output_nano=1, request_nano=77)
    have(listing, provider, consumer, included_tokens=1_000)
    request = request_of()
    open_runs([request])
    assert settle(request.run_id, 50) == 77


def test_a_subscription_that_has_ended_includes_nothing(
    request_of: RequestMaker, listing: Listing, provider: User, consumer: User
) -> None:
    subscription = have(listing, provider, consumer, included_tokens=1_000)
    under_way = request_of()
    open_runs([under_way])
    cancel_subscription(subscription=subscription, user=consumer, at_once=True)
    [opened] = open_runs([request_of()])
    assert isinstance(opened, OpenedRun)
    assert opened.held_nano == FULL_NANO
    assert settle(under_way.run_id, 50) == 0  # it was begun within the month
    assert not subscription.period.is_current(timezone.now())


tokens = st.integers(0, 500)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(prompt=tokens, cached=tokens, output=tokens, of_prompt=tokens, of_output=tokens)
def test_covering_saves_the_dearer_tokens_and_never_costs(
    prompt: int, cached: int, output: int, of_prompt: int, of_output: int
) -> None:
    cached, of_prompt, of_output = min(cached, prompt), min(of_prompt, prompt), min(of_output, output)
    rates = Rates(input_nano=3_000_001, cached_input_nano=1_000_003, output_nano=7_000_009, request_nano=11)
    said = {"prompt_tokens": prompt, "cached_tokens": cached, "output_tokens": output}
    found = charge_beyond(rates, Covered(input=of_prompt, output=of_output), **said)
    dearer = min(of_prompt, prompt - cached)
    exact = (
        (prompt - cached - dearer) * rates.input_nano
        + (cached - (of_prompt - dearer)) * rates.cached_input_nano
        + (output - of_output) * rates.output_nano
    )
    assert found == -(-exact // 10**6) + 11
    assert 11 <= found <= charge(rates, **said)
