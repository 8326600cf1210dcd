"""Keys are issued, changed, rotated and revoked by those who may."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from store.accounts.models import Membership, Role, User
from store.catalog.models import Listing, ListingStatus
from store.errors import InvalidRequest, NotFound, PermissionDenied
from store.keys.actions import IssuedKey, issue_key, parse_network, revoke_key, rotate_key, update_key
from store.keys.authenticate import read_grants
from store.keys.grants import InvalidKey
from store.keys.models import ApiKey, BudgetUse, KeyUse, Period
from tests.conftest import make_listing

pytestmark = pytest.mark.django_db


def digest(issued: IssuedKey) -> bytes:
    return hashlib.sha256(issued.secret.encode()).digest()


def test_only_a_digest_of_the_secret_is_kept(issued_key: IssuedKey) -> None:
    row = ApiKey.objects.get()
    assert bytes(row.digest) == digest(issued_key)
    assert issued_key.secret.startswith(row.prefix)
    secret_part = issued_key.secret.split("_")[2]
    assert all(secret_part not in str(value) for value in ApiKey.objects.values().get().values())
    assert secret_part not in repr(issued_key)
    assert KeyUse.objects.get(api_key=row).open_runs == 0


def test_a_key_says_what_it_opens(issued_key: IssuedKey, listing: Listing, consumer: User) -> None:
    grant = read_grants([digest(issued_key)])[digest(issued_key)]
    assert grant.listing_ids == {listing.id}
    assert grant.organization_id == consumer.personal_organization.id
    assert grant.api_key_id == issued_key.api_key.id


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"name": " "}, "name"),
        ({"name": "x" * 81}, "name"),
        ({"listings": []}, "listings"),
        ({"requests_per_minute": 0}, "requests_per_minute"),
        ({"tokens_per_minute": 10**9}, "tokens_per_minute"),
        ({"max_parallel": -1}, "max_parallel"),
        ({"allowed_networks": ["10.0.0.0/33"]}, "allowed_networks"),
        ({"allowed_networks": ["example.com"]}, "allowed_networks"),
        ({"expires_at": timezone.now() - timedelta(seconds=1)}, "expires_at"),
        ({"budgets": [(None, Period.DAY, -1)]}, "budgets"),
        ({"budgets": [(None, "year", 1)]}, "budgets"),
        ({"budgets": [(None, Period.DAY, 1), (None, Period.DAY, 2)]}, "budgets"),
    ],
)
def test_a_bad_field_is_named_and_no_key_is_made(
    consumer: User, listing: Listing, fields: dict[str, Any], param: str
) -> None:
    good: dict[str, Any] = {"name": "x", "listings": [listing]}
    with pytest.raises(InvalidRequest) as caught:
        issue_key(organization=consumer.personal_organization, user=consumer, **{**good, **fields})
    assert caught.value.param == param


def test_a_budget_is_for_a_model_that_the_key_opens(consumer: User, listing: Listing, provider: User) -> None:
    other = make_listing(provider.personal_organization, "other")
    with pytest.raises(InvalidRequest) as caught:
        issue_key(
            organization=consumer.personal_organization,
            user=consumer,
            name="x",
            listings=[listing],
            budgets=[(other, Period.DAY, 1)],
        )
    assert caught.value.param == "budgets"


@pytest.mark.parametrize(
    "hidden", [{"is_private": True}, {"status": ListingStatus.DRAFT}, {"status": ListingStatus.SUSPENDED}]
)
def test_anothers_hidden_model_does_not_exist(
    consumer: User, provider: User, listing: Listing, hidden: dict[str, Any]
) -> None:
    Listing.objects.filter(pk=listing.pk).update(**hidden)
    listing.refresh_from_db()
    with pytest.raises(NotFound):
        issue_key(organization=consumer.personal_organization, user=consumer, name="x", listings=[listing])
    own = issue_key(organization=provider.personal_organization, user=provider, name="x", listings=[listing])
    assert own.api_key.listings.get() == listing


def test_a_stranger_is_told_that_there_is_no_such_key(issued_key: IssuedKey, stranger: User, listing: Listing) -> None:
    key = issued_key.api_key
    with pytest.raises(NotFound):
        issue_key(organization=key.organization, user=stranger, name="x", listings=[listing])
    with pytest.raises(NotFound):
        rotate_key(api_key=key, user=stranger)
    with pytest.raises(NotFound):
        revoke_key(api_key=key, user=stranger)
    with pytest.raises(NotFound):
        update_key(api_key=key, user=stranger, name="x", listings=[listing])
    assert digest(issued_key) in read_grants([digest(issued_key)])


@pytest.mark.parametrize("role", [Role.VIEWER, Role.BILLING])
def test_a_role_that_may_not_is_told_so(issued_key: IssuedKey, stranger: User, role: Role) -> None:
    Membership.objects.create(organization=issued_key.api_key.organization, user=stranger, role=role)
    with pytest.raises(PermissionDenied):
        revoke_key(api_key=issued_key.api_key, user=stranger)


def test_revoking_is_for_ever(issued_key: IssuedKey, consumer: User, listing: Listing) -> None:
    revoke_key(api_key=issued_key.api_key, user=consumer)
    first = ApiKey.objects.get().revoked_at
    revoke_key(api_key=issued_key.api_key, user=consumer)
    assert first is not None
    assert ApiKey.objects.get().revoked_at == first
    assert read_grants([digest(issued_key)]) == {}
    with pytest.raises(InvalidKey):
        rotate_key(api_key=issued_key.api_key, user=consumer)
    with pytest.raises(InvalidKey):
        update_key(api_key=issued_key.api_key, user=consumer, name="x", listings=[listing])


def test_a_rotated_key_is_the_same_key_with_another_secret(issued_key: IssuedKey, consumer: User) -> None:
    rotated = rotate_key(api_key=issued_key.api_key, user=consumer)
    assert rotated.api_key.pk == issued_key.api_key.pk
    assert read_grants([digest(issued_key), digest(rotated)]).keys() == {digest(rotated)}


def test_the_old_secret_works_in_its_grace(issued_key: IssuedKey, consumer: User) -> None:
    rotated = rotate_key(api_key=issued_key.api_key, user=consumer, grace_s=60)
    both = [digest(issued_key), digest(rotated)]
    assert read_grants(both).keys() == set(both)
    ApiKey.objects.update(old_until=timezone.now())
    assert read_grants(both).keys() == {digest(rotated)}


@pytest.mark.parametrize("grace_s", [-1, 31 * 24 * 3600])
def test_the_grace_has_limits(issued_key: IssuedKey, consumer: User, grace_s: int) -> None:
    with pytest.raises(InvalidRequest):
        rotate_key(api_key=issued_key.api_key, user=consumer, grace_s=grace_s)


def test_an_update_keeps_what_was_used_of_a_budget(issued_key: IssuedKey, consumer: User, listing: Listing) -> None:
    def update(*budgets: tuple[Listing | None, Period, int]) -> None:
        update_key(api_key=issued_key.api_key, user=consumer, name="new name", listings=[listing], budgets=budgets)

    update((None, Period.DAY, 5), (listing, Period.TOTAL, 7))
    key = ApiKey.objects.get()
    assert key.name == "new name"
    for budget in key.budgets.all():
        BudgetUse.objects.create(budget=budget, starts_on="1970-01-01", used_nano=3)
    update((listing, Period.TOTAL, 9))
    assert BudgetUse.objects.get().used_nano == 3
    assert BudgetUse.objects.get().budget.limit_nano == 9


@pytest.mark.parametrize(
    ("text", "network"),
    [
        ("10.1.2.3", "10.1.2.3/32"),
        (" 10.1.2.3/8 ", "10.0.0.0/8"),
        ("2001:db8::1/32", "2001:db8::/32"),
        ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
        ("::/0", "::/0"),
    ],
)
def test_a_network_is_kept_in_one_form(text: str, network: str) -> None:
    assert str(parse_network(text)) == network
