"""What changes is found as it is, and what is not public is not found, from the moment of the change."""

from __future__ import annotations

import importlib
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.utils import timezone

from store.accounts.models import User
from store.catalog.models import Listing, ListingStatus, Measurement, MeasurementStatus, Price
from store.discovery.actions import Use, lock_standing, rebuild, record_rating, record_use, refresh, refresh_stale
from store.discovery.models import Change, ListingIndex
from tests.store.discovery.conftest import ListingMaker, found, page_of

pytestmark = pytest.mark.django_db


def change(listing: Listing, **fields: object) -> None:
    Listing.objects.filter(pk=listing.pk).update(**fields)


HIDDEN = [
    {"is_private": True},
    {"status": ListingStatus.SUSPENDED},
    {"status": ListingStatus.WITHDRAWN},
    {"status": ListingStatus.DRAFT},
    {"deleted_at": datetime(2026, 1, 1, tzinfo=UTC)},
    {"current_release": None},
]


@pytest.mark.parametrize("fields", HIDDEN, ids=str)
def test_what_is_hidden_leaves_the_index_in_the_same_transaction(
    shelve: ListingMaker, fields: dict[str, object]
) -> None:
    listing = shelve("secret")
    assert found("secret") == ["secret"]
    change(listing, **fields)
    assert not ListingIndex.objects.exists()
    assert found("secret") == []
    assert page_of().total == 0
    refresh([listing.pk])
    assert rebuild() == 0
    assert found("") == []


@pytest.mark.parametrize("fields", HIDDEN, ids=str)
def test_what_was_never_public_is_never_found(shelve: ListingMaker, fields: dict[str, object]) -> None:
    listing = shelve("secret")
    change(listing, **fields)
    Price.objects.create(listing=listing, input_nano=1, cached_input_nano=1, output_nano=1)
    refresh_stale()
    assert found("secret") == found() == []
    change(listing, is_private=False, status="published", deleted_at=None, current_release=listing.current_release)
    assert found("secret") == ["secret"]


def test_a_public_model_does_not_name_its_private_base(shelve: ListingMaker) -> None:
    base = shelve("base-model")
    shelve("tuned", base=base, base_relation="finetune")
    assert page_of(q="tuned").items[0].base_name == "provider/base-model"
    assert page_of(base="provider/base-model").total == 1
    change(base, is_private=True)
    refresh_stale()
    assert page_of(q="tuned").items[0].base_name == ""
    assert found("base") == []


def test_words_prices_and_measurements_are_found_as_they_are_now(shelve: ListingMaker) -> None:
    listing = shelve("bard", title="Old")
    assert found("old") == ["bard"]
    change(listing, title="New")
    assert (found("old"), found("new")) == ([], ["bard"])
    Price.objects.create(
        listing=listing, input_nano=4 * 10**9, cached_input_nano=0, output_nano=8 * 10**9, request_nano=10
    )
    assert page_of().items[0].price_nano == 5 * 10**9 + 10_000
    assert found(price_min=4 * 10**9) == ["bard"]
    release = listing.current_release
    assert release
    Measurement.objects.create(release=release, status=MeasurementStatus.RUNNING, perplexity=1.0)
    assert page_of().items[0].perplexity is None
    Measurement.objects.create(release=release, status=MeasurementStatus.DONE, perplexity=12.0, ttft_ms=float("nan"))
    row = page_of().items[0]
    assert (row.perplexity, row.ttft_ms) == (12.0, None)


def test_a_scheduled_price_is_found_when_it_has_started(shelve: ListingMaker) -> None:
    listing = shelve("bard", price=100)
    later = timezone.now() + timedelta(days=8)
    Price.objects.create(listing=listing, input_nano=900, cached_input_nano=0, output_nano=900, starts_at=later)
    row = page_of().items[0]
    assert (row.price_nano, row.stale_at) == (100, later)
    assert refresh_stale() == 0
    soon = timezone.now() + timedelta(milliseconds=1)
    Price.objects.create(listing=listing, input_nano=500, cached_input_nano=0, output_nano=500, starts_at=soon)
    ListingIndex.objects.update(stale_at=soon)
    refresh_stale()
    assert page_of().items[0].price_nano == 500


def test_a_renamed_provider_is_found_by_the_new_name(shelve: ListingMaker, provider: User) -> None:
    shelve("bard")
    assert found("globe") == []
    organization = provider.personal_organization
    organization.name = "Globe Theatre"
    organization.save(update_fields=["name"])
    refresh_stale()
    assert found("globe") == ["bard"]


def test_a_rating_is_seen_at_once_and_use_when_the_clock_says(shelve: ListingMaker) -> None:
    listing, other = shelve("bard"), shelve("other")
    page_of()
    lock_standing(listing.pk)
    record_rating(listing_id=listing.pk, rating=4.5, count=10)
    assert found(sort="rating") == ["bard", "other"]
    record_use([Use(listing_id=other.pk, trending=3.0, uptime=0.99, calls_30d=7)])
    assert page_of(sort="trending").items[0].trending == 0
    assert refresh_stale() == 1
    row = page_of(sort="trending").items[0]
    assert (row.slug, row.trending, row.uptime, row.calls_30d) == ("other", 3.0, 0.99, 7)
    record_use([Use(listing_id=other.pk, trending=3.0, uptime=0.99, calls_30d=7)])
    assert not Change.objects.exists()


def test_standing_outlives_a_withdrawal(shelve: ListingMaker) -> None:
    listing = shelve("bard")
    lock_standing(listing.pk)
    record_rating(listing_id=listing.pk, rating=4.5, count=10)
    change(listing, status="withdrawn")
    change(listing, status="published")
    assert page_of().items[0].rating_count == 10


def test_a_rebuild_changes_nothing(shelve: ListingMaker) -> None:
    shelve("bard", tags=["a"])
    shelve("other")
    page_of()
    before = list(ListingIndex.objects.order_by("pk").values_list("name", "keys", "heading", "facets"))
    assert rebuild() == 2
    assert list(ListingIndex.objects.order_by("pk").values_list("name", "keys", "heading", "facets")) == before


def test_the_migration_brings_a_store_that_is_older_than_the_index_into_it(shelve: ListingMaker) -> None:
    public, private = shelve("public"), shelve("private", is_private=True)
    page_of()
    ListingIndex.objects.all().delete()
    laws = importlib.import_module("store.discovery.migrations.0002_laws")
    with connection.cursor() as cursor:
        cursor.execute(laws.EVERYTHING)
    assert list(Change.objects.values_list("listing_id", flat=True)) == [public.pk]
    refresh_stale()
    assert found() == ["public"]
    assert private.pk not in ListingIndex.objects.values_list("pk", flat=True)
