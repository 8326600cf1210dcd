"""/api/budgets: works, hides what is another's, names what is wrong."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from store.accounts.models import Membership, Role, User
from store.keys.actions import IssuedKey
from store.keys.models import Budget
from tests.conftest import DOLLAR
from tests.store.console.conftest import MakeRun, make_run

__all__ = ["make_run"]
pytestmark = pytest.mark.django_db


@pytest.fixture
def signed_in(client: Client, consumer: User) -> Client:
    client.force_login(consumer)
    return client


def post(client: Client, **body: Any) -> Any:
    return client.post("/api/budgets", body, content_type="application/json")


def test_a_session_is_needed(client: Client) -> None:
    assert client.get("/api/budgets").json()["error"]["code"] == "not_signed_in"


def test_budgets_are_set_listed_changed_and_removed(
    signed_in: Client, make_run: MakeRun, issued_key: IssuedKey
) -> None:
    made = post(signed_in, period="month", limit_nano=60_000, key=issued_key.api_key.prefix, listing="provider/bard")
    assert made.status_code == 201, made.content
    make_run()
    [shown] = signed_in.get("/api/budgets").json()["results"]
    assert shown["key"] == issued_key.api_key.prefix
    assert (shown["organization"], shown["member"], shown["listing"]) == ("consumer", None, "provider/bard")
    assert (shown["spent_nano"], shown["held_nano"], shown["left_nano"]) == (30_000, 0, 30_000)
    assert (shown["is_hard"], shown["alert_percents"]) == (True, [50, 80, 100])
    path = f"/api/budgets/{shown['id']}"
    changed = signed_in.patch(path, {"limit_nano": DOLLAR}, content_type="application/json").json()
    assert (changed["limit_nano"], changed["is_hard"], changed["alert_percents"]) == (DOLLAR, True, [50, 80, 100])
    assert signed_in.get(path).json()["limit_nano"] == DOLLAR
    assert signed_in.delete(path).status_code == 204
    assert not Budget.objects.exists()


@pytest.mark.parametrize(
    ("changes", "status", "param"),
    [
        ({"period": "week"}, 400, "period"),
        ({"limit_nano": -1}, 400, "limit_nano"),
        ({"limit_nano": "much"}, 400, "limit_nano"),
        ({"alert_percents": [0]}, 400, "alert_percents"),
        ({"member": "stranger@example.com"}, 404, "member"),
        ({"key": "sk-nobody"}, 404, "key"),
        ({"listing": "nobody/nothing"}, 404, "listing"),
        ({"organization": "stranger"}, 404, "organization"),
    ],
)
def test_what_is_wrong_is_named(
    signed_in: Client, stranger: User, changes: dict[str, Any], status: int, param: str
) -> None:
    answer = post(signed_in, **{"period": "day", "limit_nano": 1, **changes})
    assert (answer.status_code, answer.json()["error"]["param"]) == (status, param)


def test_the_same_budget_twice_is_a_conflict(signed_in: Client, consumer: User) -> None:
    assert post(signed_in, period="day", limit_nano=1, member=consumer.email.upper()).status_code == 201
    again = post(signed_in, period="day", limit_nano=2, member=consumer.email)
    assert (again.status_code, again.json()["error"]["code"]) == (409, "budget_exists")


@pytest.mark.parametrize("method", ["get", "patch", "delete"])
def test_anothers_budget_is_a_404(signed_in: Client, stranger: User, method: str) -> None:
    made = post(signed_in, period="day", limit_nano=1).json()
    browser = Client()
    browser.force_login(stranger)
    answer = getattr(browser, method)(f"/api/budgets/{made['id']}", content_type="application/json")
    assert (answer.status_code, Budget.objects.count()) == (404, 1)


def test_a_viewer_reads_and_does_not_change(signed_in: Client, consumer: User, stranger: User) -> None:
    made = post(signed_in, period="day", limit_nano=1).json()
    Membership.objects.create(organization=consumer.personal_organization, user=stranger, role=Role.VIEWER)
    browser = Client()
    browser.force_login(stranger)
    path = f"/api/budgets/{made['id']}"
    assert browser.get(path).status_code == 200
    refused = browser.patch(path, {"limit_nano": 2}, content_type="application/json")
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "may_not_budget")
    assert browser.delete(path).status_code == 403
