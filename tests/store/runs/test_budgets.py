"""Budgets of organizations, members, keys and models are taken with the hold, all of them at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from store.accounts.models import Membership, Role, User
from store.catalog.models import Listing
from store.errors import StoreError
from store.keys.actions import IssuedKey, issue_key
from store.keys.budgets import create_budget, remove_budget, update_budget
from store.keys.models import BudgetUse, Period
from store.runs.actions import open_runs, settle_runs
from store.runs.books import BudgetExceeded, OpenedRun, OpenRun, SettleRun
from store.runs.models import RunStatus
from tests.conftest import DOLLAR, make_listing, make_user
from tests.store.runs.conftest import RequestMaker
from tests.store.runs.test_opening import WORST_NANO, open_one, refusals
from tests.store.runs.test_parallel import THREADS, open_in_thread, split


def message_of(request: OpenRun) -> str:
    (answer,) = open_runs([request])
    assert isinstance(answer, StoreError)
    return answer.message


@pytest.fixture
def ann(consumer: User) -> User:
    """A developer of the consumer's organization."""
    user = make_user("ann")
    Membership.objects.create(organization=consumer.personal_organization, user=user, role=Role.DEVELOPER)
    return user


@pytest.fixture
def anns_key(ann: User, consumer: User, listing: Listing) -> IssuedKey:
    return issue_key(organization=consumer.personal_organization, user=ann, name="ann's", listings=[listing])


@pytest.mark.django_db
def test_an_organizations_budget_binds_all_its_keys_and_the_playground(
    request_of: RequestMaker, consumer: User, anns_key: IssuedKey
) -> None:
    create_budget(
        organization=consumer.personal_organization, user=consumer, period=Period.MONTH, limit_nano=3 * WORST_NANO
    )
    of_ann = request_of(api_key_id=anns_key.api_key.id)
    played = request_of(api_key_id=None, user_id=consumer.pk)
    assert refusals([request_of(), of_ann, played, request_of(), request_of(api_key_id=None, user_id=consumer.pk)]) == [
        None, None, None, BudgetExceeded, BudgetExceeded,
    ]  # fmt: skip
    assert BudgetUse.objects.get().used_nano == 3 * WORST_NANO


@pytest.mark.django_db
def test_a_members_budget_binds_their_keys_and_what_they_play_with(
    request_of: RequestMaker, consumer: User, ann: User, anns_key: IssuedKey
) -> None:
    organization = consumer.personal_organization
    create_budget(organization=organization, user=consumer, member=ann, period=Period.DAY, limit_nano=2 * WORST_NANO)
    by_key, played = request_of(api_key_id=anns_key.api_key.id), request_of(api_key_id=None, user_id=ann.pk)
    assert refusals([by_key, played, request_of(api_key_id=anns_key.api_key.id), request_of()]) == [
        None, None, BudgetExceeded, None,
    ]  # fmt: skip


@pytest.mark.django_db
def test_a_budget_on_a_model_binds_everybody_there_and_nowhere_else(
    request_of: RequestMaker, consumer: User, listing: Listing, provider: User, anns_key: IssuedKey
) -> None:
    other = make_listing(provider.personal_organization, "other")
    organization = consumer.personal_organization
    create_budget(organization=organization, user=consumer, listing=listing, period=Period.DAY, limit_nano=WORST_NANO)
    elsewhere = request_of(listing_id=other.id, release_id=other.current_release_id)
    assert refusals([request_of(), request_of(api_key_id=anns_key.api_key.id), elsewhere]) == [
        None, BudgetExceeded, None,
    ]  # fmt: skip


@pytest.mark.django_db
def test_a_call_takes_of_all_its_budgets_or_of_none(
    request_of: RequestMaker, consumer: User, issued_key: IssuedKey, listing: Listing
) -> None:
    organization = consumer.personal_organization
    for who in ({}, {"member": consumer}, {"api_key": issued_key.api_key}, {"listing": listing}):
        create_budget(organization=organization, user=consumer, period=Period.DAY, limit_nano=DOLLAR, **who)  # type: ignore[arg-type]
    create_budget(organization=organization, user=consumer, period=Period.TOTAL, limit_nano=WORST_NANO)
    first = open_one(request_of())
    assert refusals([request_of()]) == [BudgetExceeded]
    assert sorted(BudgetUse.objects.values_list("used_nano", flat=True)) == [WORST_NANO] * 5
    settle_runs([SettleRun(run_id=first.run_id, status=RunStatus.SUCCEEDED, output_tokens=10)])
    assert set(BudgetUse.objects.values_list("used_nano", flat=True)) == {14_000}
    assert refusals([request_of()]) == [BudgetExceeded]


@pytest.mark.django_db
def test_the_refusal_names_the_budget(
    request_of: RequestMaker, consumer: User, issued_key: IssuedKey, listing: Listing
) -> None:
    organization, limit = consumer.personal_organization, WORST_NANO - 1
    budget = create_budget(
        organization=organization, user=consumer, listing=listing, period=Period.MONTH, limit_nano=limit
    )
    words = message_of(request_of())
    assert words == (
        "The organization's budget for this model, $0.000029999 per month, does not cover this request: $0.000029999 is left."
    )
    remove_budget(budget=budget, user=consumer)
    create_budget(organization=organization, user=consumer, member=consumer, period=Period.DAY, limit_nano=limit)
    assert message_of(request_of()).startswith("The member's budget, $0.000029999 per day,")


@pytest.mark.django_db
def test_a_soft_budget_counts_and_refuses_nothing(request_of: RequestMaker, consumer: User) -> None:
    create_budget(
        organization=consumer.personal_organization, user=consumer, period=Period.DAY, limit_nano=WORST_NANO, is_hard=False
    )  # fmt: skip
    assert refusals([request_of() for _ in range(3)]) == [None] * 3
    use = BudgetUse.objects.get()
    assert (use.used_nano, use.refused_at) == (3 * WORST_NANO, None)


@pytest.mark.django_db
def test_the_first_refusal_of_a_period_is_noted_and_a_raised_budget_lets_calls_through(
    request_of: RequestMaker, consumer: User
) -> None:
    budget = create_budget(
        organization=consumer.personal_organization, user=consumer, period=Period.MONTH, limit_nano=WORST_NANO - 1
    )  # fmt: skip
    assert refusals([request_of(), request_of()]) == [BudgetExceeded] * 2
    first = BudgetUse.objects.get()
    assert (first.used_nano, first.refused_at is not None) == (0, True)
    assert refusals([request_of()]) == [BudgetExceeded]
    assert BudgetUse.objects.get().refused_at == first.refused_at
    update_budget(budget=budget, user=consumer, limit_nano=WORST_NANO, is_hard=True, alert_percents=[])
    assert refusals([request_of(), request_of()]) == [None, BudgetExceeded]


@pytest.mark.django_db
def test_a_removed_budget_binds_nothing_even_while_a_run_of_it_is_open(
    request_of: RequestMaker, consumer: User
) -> None:
    organization = consumer.personal_organization
    budget = create_budget(organization=organization, user=consumer, period=Period.DAY, limit_nano=WORST_NANO)
    opened = open_one(request_of())
    remove_budget(budget=budget, user=consumer)
    assert refusals([request_of()]) == [None]
    [settled] = settle_runs([SettleRun(run_id=opened.run_id, status=RunStatus.SUCCEEDED, output_tokens=50)])
    assert settled.charge_nano == WORST_NANO


@pytest.mark.django_db(transaction=True)
def test_a_budget_for_seventy_serves_seventy_of_a_hundred(
    request_of: RequestMaker, consumer: User, anns_key: IssuedKey
) -> None:
    """Over three ways to spend, in batches of any size, from many threads."""
    organization = consumer.personal_organization
    create_budget(organization=organization, user=consumer, period=Period.MONTH, limit_nano=70 * WORST_NANO)
    create_budget(organization=organization, user=consumer, member=consumer, period=Period.DAY, limit_nano=DOLLAR)
    ways = ({}, {"api_key_id": anns_key.api_key.id}, {"api_key_id": None, "user_id": consumer.pk})
    batches = split([request_of(**ways[number % 3]) for number in range(100)], seed=3)
    with ThreadPoolExecutor(THREADS) as threads:
        answers = [answer for batch in threads.map(open_in_thread, batches) for answer in batch]
    assert sum(isinstance(answer, OpenedRun) for answer in answers) == 70
    assert sum(isinstance(answer, BudgetExceeded) for answer in answers) == 30
    assert BudgetUse.objects.get(budget__member=None).used_nano == 70 * WORST_NANO
