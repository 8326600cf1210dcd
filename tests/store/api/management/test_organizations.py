"""``/api/organizations``."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from store.accounts.models import Membership, Organization, Role, TokenScope, User
from store.accounts.tokens import issue_token


def bearer(user: User, scope: TokenScope) -> dict[str, Any]:
    return {"headers": {"Authorization": f"Bearer {issue_token(user=user, name='t', scopes=[scope]).secret}"}}


@pytest.fixture
def signed_in(client: Client, provider: User) -> Client:
    client.force_login(provider)
    return client


@pytest.fixture
def team(signed_in: Client) -> Organization:
    answer = signed_in.post("/api/organizations", {"slug": "globe-players"}, content_type="application/json")
    assert answer.status_code == 201
    assert answer.json()["role"] == "owner"
    return Organization.objects.get(slug="globe-players")


def test_they_are_listed_read_and_renamed(signed_in: Client, team: Organization) -> None:
    assert {row["slug"] for row in signed_in.get("/api/organizations").json()["results"]} == {
        "provider",
        "globe-players",
    }
    at = "/api/organizations/globe-players"
    assert signed_in.patch(at, {"name": "The Globe"}, content_type="application/json").json()["name"] == "The Globe"
    assert signed_in.get(at).json()["is_personal"] is False


def test_members_are_invited_changed_and_removed(signed_in: Client, team: Organization, consumer: User) -> None:
    at = "/api/organizations/globe-players"
    wanted = {"email": "a@example.com", "role": "viewer"}
    made = signed_in.post(f"{at}/invitations", wanted, content_type="application/json")
    assert made.status_code == 201
    assert [row["email"] for row in signed_in.get(f"{at}/invitations").json()["results"]] == ["a@example.com"]
    assert signed_in.delete(f"{at}/invitations/{made.json()['id']}").status_code == 204
    member = Membership.objects.create(organization=team, user=consumer, role=Role.VIEWER)
    changed = signed_in.patch(f"{at}/members/{member.pk}", {"role": "admin"}, content_type="application/json")
    assert changed.json()["role"] == "admin"
    assert signed_in.post(f"{at}/members/{member.pk}/transfer").json()["role"] == "owner"
    assert signed_in.delete(f"{at}/members/{member.pk}").status_code == 403
    assert len(signed_in.get(f"{at}/members").json()["results"]) == 2


def test_a_stranger_finds_nothing(team: Organization, stranger: User) -> None:
    other = Client()
    other.force_login(stranger)
    for path in ("", "/members", "/invitations"):
        assert other.get(f"/api/organizations/globe-players{path}").status_code == 404


def test_a_token_that_publishes_invites_nobody(team: Organization, provider: User) -> None:
    at, wanted = "/api/organizations/globe-players/invitations", {"email": "a@example.com", "role": "owner"}
    refused = Client().post(at, wanted, content_type="application/json", **bearer(provider, TokenScope.WRITE))
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "scope_missing")
    allowed = Client().post(at, wanted, content_type="application/json", **bearer(provider, TokenScope.MEMBERS))
    assert allowed.status_code == 201
