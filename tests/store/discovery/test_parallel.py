"""Hiding a listing while it is being indexed: whoever is first, it is not found afterwards."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection, transaction

from store.catalog.models import Listing
from store.discovery.actions import drain_urgent, refresh, refresh_stale
from store.discovery.models import Change, ListingIndex
from tests.store.discovery.conftest import ListingMaker

pytestmark = pytest.mark.django_db(transaction=True)


def in_thread(work: Callable[[], object]) -> None:
    try:
        work()
    finally:
        connection.close()


def test_a_refresh_waits_for_who_hides_and_a_search_does_not(shelve: ListingMaker) -> None:
    listing, other = shelve("secret"), shelve("other")
    with ThreadPoolExecutor(2) as pool:
        with transaction.atomic():
            Listing.objects.filter(pk=listing.pk).update(is_private=True)
            waiting = pool.submit(in_thread, lambda: refresh([listing.pk]))
            pool.submit(in_thread, search_begins).result(timeout=30)
            assert not waiting.done()
        waiting.result(timeout=30)
    assert not ListingIndex.objects.filter(pk=listing.pk).exists()
    refresh_stale()
    assert list(ListingIndex.objects.values_list("pk", flat=True)) == [other.pk]


def search_begins() -> None:
    """The index is another's now, so a search goes on at once."""
    drain_urgent()


def test_many_changes_and_drains_at_once_lose_none(shelve: ListingMaker) -> None:
    listings = [shelve(f"model-{number}") for number in range(6)]
    start = threading.Barrier(4)

    def change() -> None:
        start.wait()
        for turn in range(10):
            for listing in listings:
                Listing.objects.filter(pk=listing.pk).update(title=f"Title {turn}", is_private=turn % 3 == 1)

    def drain() -> None:
        start.wait()
        for _turn in range(20):
            drain_urgent()

    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(in_thread, work) for work in (change, change, drain, drain)]:
            done.result(timeout=60)
    refresh_stale()
    assert not Change.objects.exists()
    public = dict(Listing.objects.public().values_list("pk", "title"))
    assert dict(ListingIndex.objects.values_list("pk", "title")) == public
