"""/api/payouts: works, needs a scope and a role, hides what is another's, names what is wrong."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from django.test import Client

from store.accounts.models import Membership, Role, TokenScope, User
from store.payouts.models import Payout
from store.webhooks.event_types import find
from store.webhooks.models import WebhookEvent
from tests.conftest import DOLLAR
from tests.sandboxed import Till, till
from tests.store.api.management.test_webhooks import of, post
from tests.store.payouts.conftest import earn, go_on, pass_days
from tests.store.webhooks.conftest import issued, open_receiver, receiver
from tests.store.webhooks.receiver import Receiver

__all__ = ["issued", "open_receiver", "receiver", "till"]
pytestmark = pytest.mark.django_db
BOTH = (TokenScope.READ, TokenScope.PAYOUTS, TokenScope.WRITE)


def test_a_payout_lives_its_life(till: Till, provider: User, receiver: Receiver) -> None:
    api = of(provider, *BOTH)
    assert api.get("/api/payouts/account").json()["state"] == "incomplete"
    assert "/connect/" in post(api, "/api/payouts/account").json()["url"]
    till.onboard(provider)
    earn(provider.personal_organization, 30 * DOLLAR)
    pass_days(8)
    earn(provider.personal_organization, 5 * DOLLAR)
    balance = api.get("/api/payouts/balance").json()
    assert (balance["available_nano"], balance["held_back_nano"]) == (30 * DOLLAR, 5 * DOLLAR)
    assert [one["amount_nano"] for one in balance["releases"]] == [5 * DOLLAR]
    assert post(api, "/api/webhooks", url=receiver.url, event_types=["payout.paid"]).status_code == 201
    made = post(api, "/api/payouts", amount_nano=25 * DOLLAR)
    assert (made.status_code, made.json()["status"], made.json()["sent_nano"]) == (201, "pending", 25 * DOLLAR)
    go_on()
    till.bank()
    till.deliver()
    shown = api.get(f"/api/payouts/{made.json()['id']}").json()
    assert (shown["status"], shown["arrived_minor"], shown["arrived_currency"]) == ("paid", 2500, "usd")
    assert [each["id"] for each in api.get("/api/payouts").json()["results"]] == [shown["id"]]
    told = WebhookEvent.objects.get()
    example = find("payout.paid")
    assert example
    assert set(told.data) == set(example.example)
    assert (told.type, told.data["sent_nano"], told.data["arrived"]) == ("payout.paid", 25 * DOLLAR, 2500)
    second = post(api, "/api/payouts").json()
    assert second["error"]["code"] == "insufficient_earnings"


def test_a_payout_is_cancelled_and_tried_again(till: Till, provider: User) -> None:
    till.onboard(provider)
    earn(provider.personal_organization, 30 * DOLLAR)
    pass_days(8)
    api = of(provider, *BOTH)
    at = f"/api/payouts/{post(api, '/api/payouts').json()['id']}"
    assert post(api, f"{at}/cancel").json()["status"] == "cancelled"
    assert post(api, f"{at}/cancel").json()["error"]["code"] == "payout_not_in_state"
    again = post(api, f"{at}/retry")
    assert (again.status_code, again.json()["retry_of"]) == (201, at.rpartition("/")[2])


def test_a_schedule_is_set_and_read(till: Till, provider: User) -> None:
    api = of(provider, *BOTH)
    assert api.get("/api/payouts/schedule").json()["interval"] == "manual"
    body = {"interval": "monthly", "minimum_nano": 25 * DOLLAR}
    assert api.put("/api/payouts/schedule", body, content_type="application/json").json()["next_at"]
    assert api.get("/api/payouts/schedule").json()["minimum_nano"] == 25 * DOLLAR


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        ({"amount_nano": DOLLAR}, "below_payout_minimum", "amount_nano"),
        ({"amount_nano": 31 * DOLLAR}, "insufficient_earnings", "amount_nano"),
        ({"amount_nano": "much"}, "invalid_request", "amount_nano"),
        ({"organization": "stranger"}, "not_found", "organization"),
    ],
)
def test_what_is_wrong_is_named(
    till: Till, provider: User, stranger: User, body: dict[str, Any], code: str, param: str
) -> None:
    till.onboard(provider)
    earn(provider.personal_organization, 30 * DOLLAR)
    pass_days(8)
    error = post(of(provider, *BOTH), "/api/payouts", **body).json()["error"]
    assert (error["code"], error["param"]) == (code, param)


def test_a_token_without_the_scope_moves_nothing(till: Till, provider: User) -> None:
    api = of(provider, TokenScope.READ, TokenScope.WRITE)
    assert api.get("/api/payouts/balance").status_code == 200
    answers = [
        post(api, "/api/payouts"),
        post(api, "/api/payouts/account"),
        post(api, f"/api/payouts/{uuid4()}/cancel"),
    ]
    answers.append(api.put("/api/payouts/schedule", {"interval": "daily"}, content_type="application/json"))
    assert {answer.json()["error"]["code"] for answer in answers} == {"scope_missing"}
    assert Client().get("/api/payouts").status_code == 401


def test_anothers_money_is_not_there_and_a_developers_role_is_not_enough(
    till: Till, provider: User, stranger: User
) -> None:
    till.onboard(provider)
    earn(provider.personal_organization, 30 * DOLLAR)
    pass_days(8)
    at = f"/api/payouts/{post(of(provider, *BOTH), '/api/payouts').json()['id']}"
    api = of(stranger, *BOTH)
    for _role in (None, Role.DEVELOPER):
        assert api.get("/api/payouts").json()["results"] == []
        answers = (api.get(at), post(api, f"{at}/cancel"), post(api, f"{at}/retry"))
        assert {answer.status_code for answer in answers} == {404}
        where = "?organization=provider"
        status = 403 if _role else 404
        assert api.get(f"/api/payouts/balance{where}").status_code == status
        assert post(api, "/api/payouts", organization="provider").status_code == status
        Membership.objects.get_or_create(
            organization=provider.personal_organization, user=stranger, defaults={"role": Role.DEVELOPER}
        )
    assert Payout.objects.get().status == "pending"
