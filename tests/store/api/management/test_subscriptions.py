"""``/api/subscriptions`` and ``/api/listings/…/plans``."""

from __future__ import annotations

import pytest
from django.test import Client

from store.accounts.models import User
from store.catalog.models import Listing
from store.ledger.models import Wallet
from store.subscriptions.models import Subscription, SubscriptionPlan
from tests.conftest import DOLLAR

pytestmark = pytest.mark.django_db

PLANS = "/api/listings/provider/bard/plans"
SMALL = {"name": "Small", "price_nano": 3 * DOLLAR, "included_tokens": 1_000}


@pytest.fixture
def seller(client: Client, provider: User, listing: Listing) -> Client:
    client.force_login(provider)
    return client


@pytest.fixture
def plan_id(seller: Client) -> int:
    answer = seller.post(PLANS, SMALL, "application/json")
    assert answer.status_code == 201
    return int(answer.json()["id"])


@pytest.fixture
def buyer(plan_id: int, consumer: User, wallet: Wallet) -> Client:
    client = Client()
    client.force_login(consumer)
    return client


def begin(buyer: Client, plan_id: int) -> int:
    answer = buyer.post("/api/subscriptions", {"plan": plan_id}, "application/json")
    assert answer.status_code == 201, answer.content
    return int(answer.json()["id"])


def test_plans_are_offered_read_by_anybody_and_retired(seller: Client, plan_id: int) -> None:
    seen = Client().get(PLANS).json()["results"]
    assert [(each["id"], each["included_tokens"], each["included_input"]) for each in seen] == [(plan_id, 1_000, None)]
    assert seller.delete(f"{PLANS}/{plan_id}").json()["retired_at"]
    assert Client().get(PLANS).json()["results"] == []
    again = seller.delete(f"{PLANS}/{plan_id}")
    assert again.status_code == 409


def test_a_plan_that_makes_no_sense_is_refused_with_its_field(seller: Client) -> None:
    answer = seller.post(PLANS, {**SMALL, "price_nano": 1}, "application/json")
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "price")
    assert seller.post(PLANS, {"name": "Small"}, "application/json").status_code == 400


def test_strangers_offer_and_retire_nothing(plan_id: int, stranger: User) -> None:
    client = Client()
    client.force_login(stranger)
    assert client.post(PLANS, SMALL, "application/json").status_code == 404
    assert client.delete(f"{PLANS}/{plan_id}").status_code == 404
    assert Client().post(PLANS, SMALL, "application/json").status_code in (401, 403)


def test_a_subscription_is_begun_seen_changed_and_ended(buyer: Client, seller: Client, plan_id: int) -> None:
    pk = begin(buyer, plan_id)
    seen = buyer.get(f"/api/subscriptions/{pk}").json()
    assert (seen["listing"], seen["status"], seen["month"]["charge_nano"]) == ("provider/bard", "active", 3 * DOLLAR)
    assert [each["id"] for each in buyer.get("/api/subscriptions").json()["results"]] == [pk]
    cheaper = seller.post(PLANS, {**SMALL, "price_nano": DOLLAR}, "application/json").json()["id"]
    changed = buyer.post(f"/api/subscriptions/{pk}/change", {"plan": cheaper}, "application/json").json()
    assert (changed["plan"]["id"], changed["next_plan"]["id"]) == (plan_id, cheaper)
    assert buyer.post(f"/api/subscriptions/{pk}/cancel", {}, "application/json").json()["is_cancelled"]
    assert not buyer.post(f"/api/subscriptions/{pk}/resume", {}, "application/json").json()["is_cancelled"]
    ended = buyer.post(f"/api/subscriptions/{pk}/cancel", {"at_once": True}, "application/json").json()
    assert (ended["status"], ended["end_reason"]) == ("ended", "cancelled")
    again = buyer.post(f"/api/subscriptions/{pk}/cancel", {}, "application/json")
    assert (again.status_code, again.json()["error"]["code"]) == (409, "subscription_ended")


def test_errors_have_their_codes(buyer: Client, plan_id: int) -> None:
    assert buyer.post("/api/subscriptions", {"plan": 10**9}, "application/json").status_code == 404
    assert buyer.post("/api/subscriptions", {}, "application/json").status_code == 400
    begin(buyer, plan_id)
    again = buyer.post("/api/subscriptions", {"plan": plan_id}, "application/json")
    assert (again.status_code, again.json()["error"]["code"]) == (409, "already_subscribed")


def test_too_little_credit_is_a_402(plan_id: int, stranger: User) -> None:
    client = Client()
    client.force_login(stranger)
    answer = client.post("/api/subscriptions", {"plan": plan_id}, "application/json")
    assert answer.status_code == 402
    assert not SubscriptionPlan.objects.filter(retired_at__isnull=False).exists()
    assert not Subscription.objects.exists()


def test_anothers_subscription_is_not_found(buyer: Client, plan_id: int, stranger: User) -> None:
    pk = begin(buyer, plan_id)
    client = Client()
    client.force_login(stranger)
    assert client.get(f"/api/subscriptions/{pk}").status_code == 404
    assert client.get("/api/subscriptions").json()["results"] == []
    for verb in ("change", "cancel", "resume"):
        answer = client.post(f"/api/subscriptions/{pk}/{verb}", {"plan": plan_id}, "application/json")
        assert answer.status_code == 404
