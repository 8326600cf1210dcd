"""Pages of budgets: set, looked at, changed, removed, by whom they may be."""

from __future__ import annotations

import pytest
from django.test import Client

from store.accounts.models import Membership, Role, User
from store.console.context import ORGANIZATION_KEY
from store.console.outlook import PER_PAGE, budget_page, budgets_of
from store.keys.actions import IssuedKey
from store.keys.budgets import create_budget
from store.keys.models import Budget, Period
from tests.conftest import DOLLAR, make_listing, make_user
from tests.store.console.conftest import MakeRun

pytestmark = pytest.mark.django_db

TERMS = {
    "spender": "organization",
    "listing": "",
    "period": "month",
    "limit": "50",
    "kind": "hard",
    "alerts": "50, 80 100%",
}


def budget_of(user: User, **terms: object) -> Budget:
    fields: dict[str, object] = {"period": Period.MONTH, "limit_nano": DOLLAR, **terms}
    return create_budget(organization=user.personal_organization, user=user, **fields)  # type: ignore[arg-type]


def test_an_empty_page_says_what_to_do(browser: Client) -> None:
    page = browser.get("/settings/budgets").content.decode()
    assert "No budget yet" in page
    assert "/settings/budgets/new" in page


def test_budgets_are_set_for_everybody_a_member_a_key_and_a_model(
    browser: Client, consumer: User, issued_key: IssuedKey
) -> None:
    key, model = issued_key.api_key, issued_key.api_key.listings.get()
    for spender in ("organization", f"member:{consumer.pk}", f"key:{key.pk}"):
        assert browser.post("/settings/budgets/new", {**TERMS, "spender": spender}).status_code == 302
    answer = browser.post("/settings/budgets/new", {**TERMS, "listing": model.pk, "kind": "soft", "alerts": ""})
    assert answer.status_code == 302
    assert {
        (b.scope, b.listing_id, b.limit_nano, b.is_hard, tuple(b.alert_percents)) for b in Budget.objects.all()
    } == {
        ("organization", None, 50 * DOLLAR, True, (50, 80, 100)),
        ("member", None, 50 * DOLLAR, True, (50, 80, 100)),
        ("key", None, 50 * DOLLAR, True, (50, 80, 100)),
        ("organization", model.pk, 50 * DOLLAR, False, ()),
    }
    page = browser.get("/settings/budgets").content.decode()
    for words in (
        "The whole organization",
        "consumer@example.com",
        f"test ({key.prefix}…)",
        "on provider/bard",
        "Soft",
    ):
        assert words in page


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"limit": "much"}, "Write an amount of dollars"),
        ({"alerts": "half"}, "whole numbers"),
        ({"alerts": "0"}, "from 1 to 1000"),
        ({"period": "week"}, "Select a valid choice"),
        ({"spender": "member:1"}, "Select a valid choice"),
        ({"spender": "key:1"}, "Select a valid choice"),
    ],
)
def test_what_is_wrong_is_said_at_its_field(browser: Client, changes: dict[str, str], words: str) -> None:
    answer = browser.post("/settings/budgets/new", {**TERMS, **changes})
    assert answer.status_code == 422
    assert words in answer.content.decode()
    assert not Budget.objects.exists()


def test_a_second_budget_of_the_same_kind_is_refused_with_words(browser: Client, consumer: User) -> None:
    budget_of(consumer)
    answer = browser.post("/settings/budgets/new", TERMS)
    assert answer.status_code == 422
    assert "There is such a budget already" in answer.content.decode()


def test_a_budget_shows_how_it_stands_and_is_changed(browser: Client, consumer: User, make_run: MakeRun) -> None:
    budget = budget_of(consumer, limit_nano=60_000)
    make_run()
    page = browser.get(f"/settings/budgets/{budget.pk}").content.decode()
    assert 'max="60000" value="30000"' in page
    assert "50 % used" in page
    answer = browser.post(f"/settings/budgets/{budget.pk}", {"limit": "2.5", "kind": "soft", "alerts": "90"})
    assert answer.status_code == 302
    budget.refresh_from_db()
    assert (budget.limit_nano, budget.is_hard, budget.alert_percents) == (5 * DOLLAR // 2, False, [90])


def test_a_key_shows_all_budgets_that_bind_it(
    browser: Client, consumer: User, issued_key: IssuedKey, provider: User
) -> None:
    other = make_user("other")
    Membership.objects.create(organization=consumer.personal_organization, user=other)
    bound = [budget_of(consumer), budget_of(consumer, member=consumer), budget_of(consumer, api_key=issued_key.api_key)]
    unbound = budget_of(consumer, member=other)
    page = browser.get(f"/keys/{issued_key.api_key.pk}").content.decode()
    assert all(f"/settings/budgets/{budget.pk}" in page for budget in bound)
    assert f"/settings/budgets/{unbound.pk}" not in page


def test_a_budget_is_removed(browser: Client, consumer: User) -> None:
    budget = budget_of(consumer)
    assert browser.get(f"/settings/budgets/{budget.pk}/remove").status_code == 405
    assert browser.post(f"/settings/budgets/{budget.pk}/remove").status_code == 302
    assert not Budget.objects.exists()


def test_anothers_budget_is_not_there(seller: Client, consumer: User) -> None:
    budget = budget_of(consumer)
    assert seller.get(f"/settings/budgets/{budget.pk}").status_code == 404
    assert seller.post(f"/settings/budgets/{budget.pk}", {"limit": "1", "kind": "hard"}).status_code == 404
    assert seller.post(f"/settings/budgets/{budget.pk}/remove").status_code == 404


def test_a_developer_sees_what_binds_them_and_changes_nothing(consumer: User) -> None:
    developer = make_user("developer")
    Membership.objects.create(organization=consumer.personal_organization, user=developer, role=Role.DEVELOPER)
    theirs, hidden = budget_of(consumer, member=developer), budget_of(consumer, member=consumer)
    browser = Client()
    browser.force_login(developer)
    session = browser.session
    session[ORGANIZATION_KEY] = consumer.personal_organization.pk
    session.save()
    page = browser.get("/settings/budgets").content.decode()
    assert f"/settings/budgets/{theirs.pk}" in page
    assert f"/settings/budgets/{hidden.pk}" not in page
    assert "New budget" not in page
    assert browser.get(f"/settings/budgets/{hidden.pk}").status_code == 404
    assert "Change it" not in browser.get(f"/settings/budgets/{theirs.pk}").content.decode()
    assert browser.post(f"/settings/budgets/{theirs.pk}", {"limit": "9", "kind": "hard"}).status_code == 422
    assert browser.post(f"/settings/budgets/{theirs.pk}/remove").status_code == 403
    assert browser.post("/settings/budgets/new", TERMS).status_code == 422
    assert Budget.objects.count() == 2


def test_many_budgets_come_in_pages_without_gap_or_double(
    browser: Client, consumer: User, issued_key: IssuedKey
) -> None:
    key = issued_key.api_key
    listings = [make_listing(consumer.personal_organization, f"model-{number}") for number in range(PER_PAGE + 3)]
    made = [
        Budget.objects.create(organization_id=key.organization_id, listing=each, period=Period.DAY, limit_nano=1).pk
        for each in listings
    ]
    mine = budgets_of(consumer.personal_organization, consumer)
    first = budget_page(mine, before=None)
    second = budget_page(mine, before=first.older)
    assert [now.budget.pk for now in first.budgets + second.budgets] == made[::-1]
    assert second.older is None
    page = browser.get("/settings/budgets", {"before": first.older}).content.decode()
    assert f"/settings/budgets/{made[0]}" in page
    assert browser.get("/settings/budgets", {"before": "9" * 40}).status_code == 200
