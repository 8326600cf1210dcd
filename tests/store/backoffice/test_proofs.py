"""A provider's month: what the ledger says, a digest over its lines, and a link that nobody can forge."""

from __future__ import annotations

import hashlib
from decimal import Decimal

import pytest
from django.core.cache import cache
from django.test import Client
from django.urls import reverse

from store.accounts.models import Organization, User
from store.backoffice.period import DAY, month_of
from store.backoffice.proofs import link_of, months_of, proof_of
from store.ledger.models import Wallet
from tests.store.backoffice.test_dashboard import TODAY, history, sell

__all__ = ["history"]
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("history")]
THIS = month_of(TODAY)
LAST = month_of(THIS.since - DAY)


@pytest.fixture
def seller(provider: User) -> Organization:
    """The provider's organization, which has been here for a year."""
    cache.clear()
    organization = provider.personal_organization
    Organization.objects.filter(pk=organization.pk).update(created_at=(THIS.starts_at - 365 * DAY))
    organization.refresh_from_db()
    return organization


def test_a_month_is_what_moved_in_it_and_begins_where_the_last_one_ended(seller: Organization) -> None:
    this, last = proof_of(seller, THIS), proof_of(seller, LAST)
    assert (last.is_over, this.is_over) == (True, False)
    assert last.transfers
    assert last.closing_nano == this.opening_nano
    assert this.closing_nano == Wallet.objects.get(organization=seller, kind="earnings").posted_nano
    assert this.opening_nano + this.earned_nano + this.royalty_nano == this.closing_nano


def test_the_lines_have_the_digest_and_the_amounts(provider: User, seller: Organization, client: Client) -> None:
    client.force_login(provider)
    month = f"{LAST.since:%Y-%m}"
    page = client.get(reverse("console:proof", args=[month]))
    file = client.get(reverse("console:proof-lines", args=[month])).content
    assert page.context["proof"].digest == hashlib.sha256(file).hexdigest()
    rows = [line.split(",") for line in file.decode().splitlines()]
    earned = sum(Decimal(row[5]) for row in rows if (row[3], row[4]) == ("usage", "in"))
    assert earned * 10**9 == page.context["proof"].earned_nano


def test_a_shared_link_shows_the_month_without_the_lines_and_cannot_be_forged(
    provider: User, seller: Organization, client: Client
) -> None:
    shared = client.get(reverse("console:shared-proof", args=[link_of(seller, LAST)]))
    assert shared.status_code == 200
    assert proof_of(seller, LAST).digest in shared.content.decode()
    assert "proof-lines" not in shared.content.decode()
    for forged in ("x", link_of(seller, LAST)[:-1], link_of(seller, LAST) + "a"):
        assert client.get(reverse("console:shared-proof", args=[forged])).status_code == 404


def test_others_and_members_without_the_role_see_none(
    seller: Organization, stranger: User, client: Client, provider: User
) -> None:
    client.force_login(stranger)
    theirs = client.get(reverse("console:proof", args=[f"{THIS.since:%Y-%m}"]))
    assert theirs.context["proof"].organization == stranger.personal_organization
    seller.memberships.filter(user=provider).update(role="developer")
    client.force_login(provider)
    for name, args in (("proofs", []), ("proof", [f"{LAST.since:%Y-%m}"]), ("proof-lines", [f"{LAST.since:%Y-%m}"])):
        assert client.get(reverse(f"console:{name}", args=args)).status_code == 403


def test_there_is_no_proof_of_a_month_that_was_not(provider: User, seller: Organization, client: Client) -> None:
    client.force_login(provider)
    assert client.get(reverse("console:proofs")).context["months"] == months_of(seller)
    for month in ("1999-01", "2999-01", "never"):
        assert client.get(reverse("console:proof", args=[month])).status_code == 404


def test_a_month_that_goes_on_has_another_digest_after_a_sale(
    seller: Organization, consumer: User, provider: User
) -> None:
    before = proof_of(seller, THIS)
    sell(consumer, provider, 10**9)
    after = proof_of(seller, THIS)
    assert (after.transfers, after.digest != before.digest) == (before.transfers + 2, True)
