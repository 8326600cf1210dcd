"""Who is let in: every address of /api is tried as nobody, as a stranger, and with a token that may only read."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

import pytest
from django.test import Client

from store.accounts.models import TokenScope, User
from store.accounts.tokens import issue_token, revoke_token
from store.api.management.urls import urlpatterns
from store.catalog.models import Listing

OPEN = {
    ("get", "schema"), ("get", "search"), ("get", "categories"), ("get", "listings"), ("get", "rankings/<str:kind>"),
}  # fmt: skip
OF_LISTING = "listings/<slug:organization>/<str:slug>"
VALUES = {"pk": "999999", "webhook": "999999", "number": "1", "revision": "main", "kind": "tag", "name": "v1"}


def addresses() -> Iterator[tuple[str, str]]:
    """(method, address) of everything under /api."""
    for pattern in urlpatterns:
        address = str(pattern.pattern)
        actions = getattr(pattern.callback, "actions", None) or {"get": "list"}
        if not address.startswith("^"):
            yield from ((method, address) for method in actions if method != "head")


def filled(address: str, listing: Listing) -> str:
    path = address.replace("<slug:organization>", listing.organization.slug).replace("<str:slug>", listing.slug)
    path = path.replace("<slug:slug>", listing.organization.slug)
    path = path.replace("<uuid:pk>", str(UUID(int=1)))
    for name, value in VALUES.items():
        for kind in ("int", "str", "slug"):
            path = path.replace(f"<{kind}:{name}>", value)
    return f"/api/{path}"


ALL = sorted(set(addresses()))
CHANGING = [(method, address) for method, address in ALL if method != "get"]


@pytest.fixture
def private(listing: Listing) -> Listing:
    Listing.objects.filter(pk=listing.pk).update(is_private=True)
    listing.refresh_from_db()
    return listing


def test_the_addresses_are_all_there() -> None:
    assert len(ALL) > 40


@pytest.mark.parametrize(("method", "address"), [pair for pair in ALL if pair not in OPEN])
def test_nobody_gets_nothing_of_a_private_listing(client: Client, private: Listing, method: str, address: str) -> None:
    answer = client.generic(method, filled(address, private), "{}", content_type="application/json")
    assert answer.status_code in (401, 403, 404), answer.content
    assert answer.json()["error"]["code"] in ("not_signed_in", "not_found", "permission_denied")


@pytest.mark.parametrize(("method", "address"), [pair for pair in ALL if pair[1].startswith(OF_LISTING)])
def test_a_stranger_finds_no_private_listing(
    client: Client, private: Listing, stranger: User, method: str, address: str
) -> None:
    client.force_login(stranger)
    answer = client.generic(method, filled(address, private), '{"name": 1}', content_type="application/json")
    assert answer.status_code in (400, 403, 404), answer.content  # 400: the body was read first, and told nothing
    if answer.status_code == 403:
        assert address.endswith(("/suspend", "/lift"))  # for moderators: says nothing of the listing


@pytest.mark.parametrize(("method", "address"), CHANGING)
def test_a_token_that_reads_changes_nothing(
    client: Client, listing: Listing, provider: User, method: str, address: str
) -> None:
    secret = issue_token(user=provider, name="reader", scopes=[TokenScope.READ]).secret
    headers = {"Authorization": f"Bearer {secret}"}
    answer = client.generic(method, filled(address, listing), "{}", content_type="application/json", headers=headers)
    assert answer.status_code == 403
    assert answer.json()["error"]["code"] in ("scope_missing", "permission_denied")


def test_a_token_opens_and_a_revoked_one_does_not(client: Client, private: Listing, provider: User) -> None:
    issued = issue_token(user=provider, name="mine", scopes=[TokenScope.READ])
    headers = {"Authorization": f"Bearer {issued.secret}"}
    shown = client.get(f"/api/listings/{private.name}", headers=headers)
    assert (shown.status_code, shown.json()["name"]) == (200, private.name)
    revoke_token(token=issued.token)
    refused = client.get(f"/api/listings/{private.name}", headers=headers)
    assert (refused.status_code, refused.json()["error"]["code"]) == (401, "not_signed_in")


def test_keys_need_a_scope_of_their_own(client: Client, provider: User) -> None:
    secret = issue_token(user=provider, name="writer", scopes=[TokenScope.WRITE]).secret
    answer = client.post("/api/keys", {"name": "k", "listings": []}, headers={"Authorization": f"Bearer {secret}"})
    assert answer.json()["error"]["code"] == "scope_missing"


def test_an_answer_is_sent_again_only_when_it_has_changed(client: Client, listing: Listing) -> None:
    first = client.get(f"/api/listings/{listing.name}")
    tag = first["ETag"]
    same = client.get(f"/api/listings/{listing.name}", headers={"If-None-Match": tag})
    assert (same.status_code, same.content) == (304, b"")
    Listing.objects.filter(pk=listing.pk).update(summary="New words")
    assert client.get(f"/api/listings/{listing.name}", headers={"If-None-Match": tag}).status_code == 200
