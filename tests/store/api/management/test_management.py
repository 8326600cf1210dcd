"""/api: works, needs a session, hides what is another's, names what is wrong."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from store.accounts.models import User
from store.catalog.models import Listing
from store.keys.actions import IssuedKey
from store.keys.models import ApiKey
from store.ledger.models import Wallet
from store.runs.actions import open_runs
from store.runs.models import Run
from tests.conftest import make_listing


@pytest.fixture
def signed_in(client: Client, consumer: User) -> Client:
    client.force_login(consumer)
    return client


def post(client: Client, path: str, **body: Any) -> Any:
    return client.post(path, body, content_type="application/json")


@pytest.mark.parametrize("path", ["/api/keys", "/api/wallet", "/api/runs"])
@pytest.mark.django_db
def test_a_session_is_needed(client: Client, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code in (401, 403)
    assert answer.json()["error"]["code"] == "not_signed_in"


def test_a_key_is_made_and_its_secret_shown_once(signed_in: Client, listing: Listing) -> None:
    budgets = [{"listing": listing.name, "period": "day", "limit_nano": 5_000_000}]
    made = post(signed_in, "/api/keys", name="mine", listings=[listing.name], budgets=budgets, max_parallel=3)
    assert made.status_code == 201
    assert made.json()["secret"].startswith(made.json()["prefix"])
    shown = signed_in.get(f"/api/keys/{made.json()['id']}").json()
    assert "secret" not in shown
    assert shown["listings"] == [listing.name]
    assert shown["budgets"] == budgets
    assert shown["max_parallel"] == 3
    assert [key["id"] for key in signed_in.get("/api/keys").json()["results"]] == [shown["id"]]


def test_a_change_keeps_what_it_does_not_name(signed_in: Client, issued_key: IssuedKey) -> None:
    path = f"/api/keys/{issued_key.api_key.pk}"
    changed = signed_in.patch(path, {"requests_per_minute": 7}, content_type="application/json")
    assert changed.status_code == 200
    assert (changed.json()["requests_per_minute"], changed.json()["name"]) == (7, "test")
    assert changed.json()["listings"] == ["provider/bard"]


def test_a_key_is_rotated_and_revoked(signed_in: Client, issued_key: IssuedKey) -> None:
    path = f"/api/keys/{issued_key.api_key.pk}"
    rotated = post(signed_in, f"{path}/rotate")
    assert rotated.status_code == 200
    assert rotated.json()["secret"] != issued_key.secret
    assert signed_in.delete(path).status_code == 204
    assert ApiKey.objects.get(pk=issued_key.api_key.pk).revoked_at


@pytest.mark.parametrize(("method", "suffix"), [("get", ""), ("patch", ""), ("delete", ""), ("post", "/rotate")])
def test_anothers_key_is_a_404(client: Client, stranger: User, issued_key: IssuedKey, method: str, suffix: str) -> None:
    client.force_login(stranger)
    answer = getattr(client, method)(f"/api/keys/{issued_key.api_key.pk}{suffix}", content_type="application/json")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")
    assert ApiKey.objects.get(pk=issued_key.api_key.pk).revoked_at is None


@pytest.mark.parametrize(
    ("changes", "status", "param"),
    [
        ({"name": ""}, 400, "name"),
        ({"listings": []}, 400, "listings"),
        ({"listings": ["nobody/nothing"]}, 404, "listings"),
        ({"listings": 5}, 400, "listings"),
        ({"requests_per_minute": -1}, 400, "requests_per_minute"),
        ({"requests_per_minute": "many"}, 400, "requests_per_minute"),
        ({"allowed_networks": ["here"]}, 400, "allowed_networks"),
        ({"budgets": [{"period": "week", "limit_nano": 1}]}, 400, "budgets.0.period"),
        ({"organization": "nobody"}, 404, "organization"),
    ],
)
def test_what_is_wrong_with_a_key_is_named(
    signed_in: Client, listing: Listing, changes: dict[str, Any], status: int, param: str
) -> None:
    answer = post(signed_in, "/api/keys", **{"name": "mine", "listings": [listing.name], **changes})
    assert (answer.status_code, answer.json()["error"]["param"]) == (status, param)
    assert not ApiKey.objects.exists()


def test_broken_json_is_a_400(signed_in: Client) -> None:
    answer = signed_in.post("/api/keys", "{", content_type="application/json")
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_request")


def test_a_post_without_a_csrf_token_is_refused(consumer: User, listing: Listing) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(consumer)
    assert post(client, "/api/keys", name="mine", listings=[listing.name]).status_code == 403


def test_the_wallet_says_what_is_available(signed_in: Client, wallet: Wallet) -> None:
    (shown,) = signed_in.get("/api/wallet").json()["results"]
    assert shown == {"organization": "consumer", "posted_nano": 10**10, "held_nano": 0, "available_nano": 10**10}


@pytest.mark.django_db(transaction=True)
def test_runs_are_listed_for_who_paid_and_nobody_else(
    client: Client, consumer: User, stranger: User, request: Any
) -> None:
    request_of = request.getfixturevalue("request_of")
    open_runs([request_of(), request_of()])
    client.force_login(consumer)
    page = client.get("/api/runs?limit=1").json()
    assert page["results"][0]["listing"] == "provider/bard"
    assert client.get(page["next"]).json()["next"] is None
    run = Run.objects.first()
    assert run
    assert client.get(f"/api/runs/{run.pk}").json()["status"] == "open"
    client.force_login(stranger)
    assert client.get("/api/runs").json()["results"] == []
    assert client.get(f"/api/runs/{run.pk}").status_code == 404
    assert client.get("/api/runs/none").status_code == 404


def test_listings_are_public_with_their_price(client: Client, listing: Listing, provider: User) -> None:
    hidden = make_listing(provider.personal_organization, "hidden")
    Listing.objects.filter(pk=hidden.pk).update(is_private=True)
    (shown,) = client.get("/api/listings").json()["results"]
    assert (shown["name"], shown["price"]["output_nano"], shown["digest"]) == (
        "provider/bard",
        400_000_000,
        listing.current_release.digest,
    )  # type: ignore[union-attr]
    client.force_login(provider)
    assert len(client.get("/api/listings").json()["results"]) == 2
