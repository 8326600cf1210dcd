"""Who may set budgets, and what a budget is."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import IntegrityError, transaction

from store.accounts.models import Membership, Organization, Role, User
from store.catalog.models import Listing
from store.errors import InvalidRequest, NotFound
from store.keys.actions import IssuedKey
from store.keys.budgets import BudgetExists, MayNotBudget, create_budget, remove_budget, update_budget
from store.keys.models import Budget, BudgetUse, Period
from tests.conftest import DOLLAR, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def team(consumer: User) -> Organization:
    return consumer.personal_organization


def join(team: Organization, name: str, role: Role) -> User:
    user = make_user(name)
    Membership.objects.create(organization=team, user=user, role=role)
    return user


def a_budget(team: Organization, user: User, **terms: Any) -> Budget:
    return create_budget(**{"organization": team, "user": user, "period": Period.MONTH, "limit_nano": DOLLAR, **terms})


def test_one_budget_for_each_spender_model_and_period(
    team: Organization, consumer: User, issued_key: IssuedKey, listing: Listing
) -> None:
    for who in ({}, {"member": consumer}, {"api_key": issued_key.api_key}):
        for what in ({}, {"listing": listing}):
            for period in Period:
                a_budget(team, consumer, **who, **what, period=period)
                with pytest.raises(BudgetExists):
                    a_budget(team, consumer, **who, **what, period=period)
    assert Budget.objects.count() == 18


def test_a_budget_is_of_a_member_or_of_a_key(team: Organization, consumer: User, issued_key: IssuedKey) -> None:
    with pytest.raises(InvalidRequest) as refused:
        a_budget(team, consumer, member=consumer, api_key=issued_key.api_key)
    assert refused.value.param == "member"
    both = {"member": consumer, "api_key": issued_key.api_key, "period": "day", "limit_nano": 1}
    with pytest.raises(IntegrityError), transaction.atomic():
        Budget.objects.create(organization=team, **both)


@pytest.mark.parametrize(
    ("terms", "param"),
    [
        ({"period": "week"}, "period"),
        ({"limit_nano": -1}, "limit_nano"),
        ({"limit_nano": 10**19}, "limit_nano"),
        ({"alert_percents": [0]}, "alert_percents"),
        ({"alert_percents": [1001]}, "alert_percents"),
        ({"alert_percents": range(1, 12)}, "alert_percents"),
    ],
)
def test_what_is_no_budget_is_named(team: Organization, consumer: User, terms: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        a_budget(team, consumer, **terms)
    assert refused.value.param == param
    assert not Budget.objects.exists()


def test_of_others_there_is_nothing_to_limit(
    team: Organization, consumer: User, stranger: User, issued_key: IssuedKey
) -> None:
    with pytest.raises(NotFound):
        a_budget(team, consumer, member=stranger)
    with pytest.raises(NotFound):
        a_budget(stranger.personal_organization, stranger, api_key=issued_key.api_key)
    with pytest.raises(NotFound):
        a_budget(team, stranger)


@pytest.mark.parametrize(
    ("role", "may"), [(Role.ADMIN, True), (Role.BILLING, True), (Role.DEVELOPER, False), (Role.VIEWER, False)]
)
def test_who_answers_for_the_money_sets_budgets(team: Organization, consumer: User, role: Role, may: bool) -> None:
    budget, member = a_budget(team, consumer), join(team, "ann", role)
    terms: dict[str, Any] = {"limit_nano": 2 * DOLLAR, "is_hard": False, "alert_percents": [90]}
    if may:
        update_budget(budget=budget, user=member, **terms)
        a_budget(team, member, period=Period.DAY)
        remove_budget(budget=budget, user=member)
        assert Budget.objects.get().period == Period.DAY
        return
    for refused in (
        lambda: update_budget(budget=budget, user=member, **terms),
        lambda: a_budget(team, member, period=Period.DAY),
        lambda: remove_budget(budget=budget, user=member),
    ):
        with pytest.raises(MayNotBudget):
            refused()
    assert Budget.objects.get().limit_nano == DOLLAR


def test_those_who_do_not_keep_budgets_see_what_binds_them(
    team: Organization, consumer: User, stranger: User, issued_key: IssuedKey, listing: Listing
) -> None:
    ann, bob = join(team, "ann", Role.DEVELOPER), join(team, "bob", Role.BILLING)
    whole, on_one = a_budget(team, consumer), a_budget(team, consumer, listing=listing)
    anns, consumers = a_budget(team, consumer, member=ann), a_budget(team, consumer, member=consumer)
    of_key = a_budget(team, consumer, api_key=issued_key.api_key)
    assert set(Budget.objects.visible_to(ann)) == {whole, on_one, anns}
    assert set(Budget.objects.visible_to(bob)) == {whole, on_one, anns, consumers, of_key}
    assert not Budget.objects.visible_to(stranger).exists()
    Membership.objects.filter(user=ann, organization=team).delete()
    assert not Budget.objects.visible_to(ann).exists()


def test_a_changed_budget_keeps_its_use_and_forgets_that_it_refused(team: Organization, consumer: User) -> None:
    budget = a_budget(team, consumer)
    BudgetUse.objects.create(budget=budget, starts_on="2026-11-01", used_nano=7, refused_at="2026-11-02T00:00Z")
    update_budget(budget=budget, user=consumer, limit_nano=2 * DOLLAR, is_hard=False, alert_percents=[90, 50, 50])
    use = BudgetUse.objects.select_related("budget").get()
    assert (use.used_nano, use.refused_at) == (7, None)
    assert (use.budget.limit_nano, use.budget.is_hard, use.budget.alert_percents) == (2 * DOLLAR, False, [50, 90])


def test_a_removed_budget_is_removed_once(team: Organization, consumer: User) -> None:
    budget = a_budget(team, consumer)
    remove_budget(budget=budget, user=consumer)
    remove_budget(budget=budget, user=consumer)
    with pytest.raises(NotFound):
        update_budget(budget=budget, user=consumer, limit_nano=1, is_hard=True, alert_percents=[])
