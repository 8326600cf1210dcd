"""What trends is what customers pay for again; nobody makes their own model trend."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from store.accounts.models import Membership, Organization, Role, User
from store.catalog.models import Listing
from store.discovery.actions import refresh_stale
from store.discovery.models import ListingIndex, Standing
from store.reputation.models import PaidDay
from store.reputation.rollup import roll_up
from store.reputation.trending import rough, update_trending
from store.runs.models import RunStatus
from tests.conftest import make_listing
from tests.store.reputation.conftest import RunMaker

pytestmark = pytest.mark.django_db


def paid(listing: Listing, organization: Organization, *days_ago: int) -> None:
    today = timezone.now().date()
    for days in days_ago:
        PaidDay.objects.create(listing=listing, organization=organization, day=today - timedelta(days=days))


def trend_of(listing: Listing) -> float:
    update_trending()
    standing = Standing.objects.filter(pk=listing.pk).first()
    return standing.trending if standing else 0.0


def test_a_customer_who_came_back_counts_by_half_with_each_week(listing: Listing, consumer: User) -> None:
    paid(listing, consumer.personal_organization, 0)
    assert trend_of(listing) == 0
    paid(listing, consumer.personal_organization, 7)
    assert trend_of(listing) == 1.5
    paid(listing, consumer.personal_organization, 30, 31)
    assert trend_of(listing) == 1.5


def test_one_day_of_many_customers_is_no_trend(listing: Listing) -> None:
    for number in range(20):
        paid(listing, Organization.objects.create(slug=f"org{number}", name="Org"), 1)
    assert trend_of(listing) == 0


def test_own_use_does_not_count(listing: Listing, provider: User, consumer: User) -> None:
    paid(listing, provider.personal_organization, 0, 1, 2)
    shell = Organization.objects.create(slug="shell", name="Shell")
    Membership.objects.create(organization=shell, user=provider, role=Role.OWNER)
    paid(listing, shell, 0, 1, 2)
    assert trend_of(listing) == 0
    paid(listing, consumer.personal_organization, 0, 1)
    assert 0 < trend_of(listing) < 2


def test_a_trend_that_is_over_is_taken_back(listing: Listing, consumer: User) -> None:
    paid(listing, consumer.personal_organization, 0, 1)
    assert trend_of(listing) > 0
    PaidDay.objects.all().delete()
    assert trend_of(listing) == 0


def test_use_is_in_the_index_and_ranks(past_run: RunMaker, listing: Listing, consumer: User, provider: User) -> None:
    other = make_listing(provider.personal_organization, "other")
    for number in range(4):
        past_run(status=RunStatus.FAILED if number == 0 else RunStatus.SUCCEEDED)
    paid(other, consumer.personal_organization, 3, 4)
    roll_up()
    assert update_trending() == 2
    refresh_stale()
    rows = {row.slug: row for row in ListingIndex.objects.all()}
    assert (rows["bard"].uptime, rows["bard"].calls_30d, rows["bard"].trending) == (0.75, 4, 0)
    assert (rows["other"].uptime, rows["other"].calls_30d) == (None, 0)
    assert rows["other"].trending > 0


def test_calls_are_told_in_two_digits() -> None:
    assert [rough(calls) for calls in (0, 7, 42, 123, 126, 987_654)] == [0, 7, 42, 120, 130, 990_000]
