from __future__ import annotations

import pytest
from django.test import Client

from store.accounts.models import User
from store.catalog.models import Listing, ListingStatus
from store.console.shelf import PER_PAGE
from store.reputation.models import Favourite
from tests.conftest import make_listing

ADDRESS = "/provider/bard/favourite"


def test_a_model_is_marked_found_again_and_unmarked(browser: Client, consumer: User, listing: Listing) -> None:
    assert browser.post(ADDRESS, {"wanted": "1"}).headers["Location"] == "/provider/bard"
    assert 'aria-pressed="true"' in browser.get("/provider/bard").content.decode()
    assert 'href="/provider/bard"' in browser.get("/favourites").content.decode()
    browser.post(ADDRESS, {"wanted": "0"})
    assert "No favourites yet" in browser.get("/favourites").content.decode()


def test_marking_twice_marks_once(browser: Client, consumer: User, listing: Listing) -> None:
    for wanted in ("1", "1", "", "nonsense"):
        assert browser.post(ADDRESS, {"wanted": wanted}).status_code == 302
    assert Favourite.objects.filter(user=consumer).count() == 1
    for _again in range(2):
        assert browser.post(ADDRESS, {"wanted": "0"}).status_code == 302
    assert not Favourite.objects.exists()


def test_ones_own_private_model_can_be_a_favourite_and_is_a_strangers_404(
    browser: Client, seller: Client, listing: Listing
) -> None:
    Listing.objects.update(is_private=True)
    assert seller.post(ADDRESS, {"wanted": "1"}).status_code == 302
    assert "Private" in seller.get("/favourites").content.decode()
    assert browser.post(ADDRESS, {"wanted": "1"}).status_code == 404


def test_what_cannot_be_called_any_more_is_left_out(browser: Client, listing: Listing) -> None:
    browser.post(ADDRESS, {"wanted": "1"})
    Listing.objects.update(status=ListingStatus.SUSPENDED)
    assert "No favourites yet" in browser.get("/favourites").content.decode()


def test_the_list_is_ones_own(browser: Client, stranger: User, listing: Listing) -> None:
    browser.post(ADDRESS, {"wanted": "1"})
    other = Client()
    other.force_login(stranger)
    assert "No favourites yet" in other.get("/favourites").content.decode()


def test_a_visitor_signs_in_first(client: Client, listing: Listing) -> None:
    for answer in (client.get("/favourites"), client.post(ADDRESS, {"wanted": "1"})):
        assert answer.headers["Location"].startswith("/accounts/login/")
    assert client.post("/provider/none/favourite").status_code == 302
    assert not Favourite.objects.exists()


def test_getting_the_address_changes_nothing(browser: Client, listing: Listing) -> None:
    assert browser.get(ADDRESS).status_code == 405


@pytest.mark.parametrize("before", ["", "x", "-1", "9" * 40, "٣"])
def test_a_cursor_that_is_none_begins_at_the_beginning(browser: Client, listing: Listing, before: str) -> None:
    browser.post(ADDRESS, {"wanted": "1"})
    assert "/provider/bard" in browser.get("/favourites", {"before": before}).content.decode()


def test_many_have_pages(browser: Client, provider: User, consumer: User) -> None:
    made = [make_listing(provider.personal_organization, f"m{number:02}") for number in range(PER_PAGE + 2)]
    marks = Favourite.objects.bulk_create([Favourite(user=consumer, listing=listing) for listing in made])
    first = browser.get("/favourites").content.decode()
    assert f'href="?before={marks[2].pk}"' in first
    second = browser.get("/favourites", {"before": marks[2].pk}).content.decode()
    assert "/provider/m00" in second
    assert "/provider/m02" not in second
