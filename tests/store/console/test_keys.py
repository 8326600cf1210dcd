from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from store.accounts.models import Membership, Role, User
from store.catalog.models import Listing
from store.keys.actions import IssuedKey, update_key
from store.keys.models import ApiKey, Budget, Period
from store.keys.secret import digest_of
from tests.conftest import DOLLAR, make_listing


def terms(listing: Listing, **more: Any) -> dict[str, Any]:
    return {"name": "backend", "listings": [listing.pk], **more}


@pytest.mark.django_db
def test_a_key_is_made_and_its_secret_shown_once(browser: Client, listing: Listing) -> None:
    more = {
        "budget_day": "2.50",
        "budget_month": "$40",
        "requests_per_minute": "60",
        "allowed_networks": "203.0.113.7\n2001:db8::/32",
    }
    response = browser.post("/keys/new", terms(listing, **more, expires="30"))
    page = response.content.decode()
    key = ApiKey.objects.get()
    secret = page.split('id="secret"', 1)[1].split(">", 1)[1].split("<", 1)[0]
    assert bytes(key.digest) == digest_of(secret)
    assert "no-store" in response["Cache-Control"]
    assert {(b.period, b.limit_nano) for b in key.budgets.all()} == {("day", 5 * DOLLAR // 2), ("month", 40 * DOLLAR)}
    assert key.allowed_networks == ["2001:db8::/32", "203.0.113.7/32"]
    assert key.expires_at
    assert timedelta(days=29) < key.expires_at - datetime.now(UTC) < timedelta(days=31)
    assert secret not in browser.get("/keys").content.decode()
    assert secret not in browser.get(f"/keys/{key.pk}").content.decode()


@pytest.mark.django_db
@pytest.mark.parametrize(
    "wrong",
    [
        {"name": ""},
        {"name": "x" * 81},
        {"listings": []},
        {"listings": ["999999"]},
        {"listings": ["x"]},
        {"budget_day": "-1"},
        {"budget_day": "1e9"},
        {"budget_day": "0.0000000001"},
        {"requests_per_minute": "0"},
        {"tokens_per_minute": "9" * 30},
        {"max_parallel": "NaN"},
        {"allowed_networks": "not a network"},
        {"expires": "yesterday"},
    ],
)
def test_a_form_that_makes_no_sense_makes_no_key(browser: Client, listing: Listing, wrong: dict[str, Any]) -> None:
    response = browser.post("/keys/new", terms(listing) | wrong)
    assert response.status_code == 422
    assert "field-error" in response.content.decode()
    assert not ApiKey.objects.exists()


@pytest.mark.django_db
def test_a_private_model_of_others_cannot_be_chosen(browser: Client, listing: Listing) -> None:
    Listing.objects.update(is_private=True)
    assert browser.post("/keys/new", terms(listing)).status_code == 422
    assert not ApiKey.objects.exists()


@pytest.mark.django_db
def test_limits_change_and_budgets_on_single_models_stay(
    browser: Client, consumer: User, provider: User, issued_key: IssuedKey, listing: Listing
) -> None:
    key = issued_key.api_key
    other = make_listing(provider.personal_organization, "other")
    budgets = ((listing, Period.DAY, DOLLAR), (None, Period.TOTAL, 9 * DOLLAR))
    update_key(api_key=key, user=consumer, name="x", listings=[listing, other], budgets=budgets)
    form = terms(listing, budget_day="3", max_parallel="4", expires="")
    assert browser.post(f"/keys/{key.pk}", form).status_code == 302
    key.refresh_from_db()
    assert (key.name, key.max_parallel, list(key.listings.all())) == ("backend", 4, [listing])
    kept = {(budget.listing_id, budget.period, budget.limit_nano) for budget in Budget.objects.all()}
    assert kept == {(listing.pk, "day", DOLLAR), (None, "day", 3 * DOLLAR)}


@pytest.mark.django_db
def test_a_new_secret_replaces_the_old(browser: Client, issued_key: IssuedKey) -> None:
    key = issued_key.api_key
    page = browser.post(f"/keys/{key.pk}/rotate", {"grace_s": "3600"}).content.decode()
    before = key.prefix
    key.refresh_from_db()
    assert key.prefix != before
    assert key.prefix in page
    assert key.old_until is not None
    assert browser.post(f"/keys/{key.pk}/rotate", {"grace_s": "99999999"}).status_code == 400


@pytest.mark.django_db
def test_a_revoked_key_is_shown_so_and_cannot_be_changed(
    browser: Client, issued_key: IssuedKey, listing: Listing
) -> None:
    key = issued_key.api_key
    assert browser.post(f"/keys/{key.pk}/revoke").status_code == 302
    assert "Revoked" in browser.get(f"/keys/{key.pk}").content.decode()
    assert browser.post(f"/keys/{key.pk}", terms(listing)).status_code == 401
    key.refresh_from_db()
    assert key.revoked_at is not None
    assert key.name == "test"


@pytest.mark.django_db
@pytest.mark.parametrize("action", ["rotate", "revoke"])
def test_looking_changes_nothing(browser: Client, issued_key: IssuedKey, action: str) -> None:
    assert browser.get(f"/keys/{issued_key.api_key.pk}/{action}").status_code == 405


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/keys/{}", "/keys/{}/rotate", "/keys/{}/revoke"])
def test_another_tenants_key_is_a_404(stranger: User, issued_key: IssuedKey, listing: Listing, path: str) -> None:
    client = Client()
    client.force_login(stranger)
    form = terms(listing, grace_s="0")
    assert client.post(path.format(issued_key.api_key.pk), form).status_code == 404
    assert client.post(path.format(10**17), form).status_code == 404
    issued_key.api_key.refresh_from_db()
    assert issued_key.api_key.revoked_at is None


@pytest.mark.django_db
def test_a_viewer_sees_keys_and_changes_none(
    stranger: User, consumer: User, issued_key: IssuedKey, listing: Listing
) -> None:
    organization = consumer.personal_organization
    Membership.objects.create(organization=organization, user=stranger, role=Role.VIEWER)
    client = Client()
    client.force_login(stranger)
    client.post(f"/organizations/{organization.pk}/switch")
    page = client.get("/keys").content.decode()
    assert issued_key.api_key.prefix in page
    assert "New key" not in page
    assert client.post("/keys/new", terms(listing)).status_code == 403
    assert client.post(f"/keys/{issued_key.api_key.pk}/revoke").status_code == 403
