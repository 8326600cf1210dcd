from __future__ import annotations

import re

import pytest
from django.test import Client

from store.accounts.models import User
from store.catalog.models import Listing, ListingStatus, Measurement, MeasurementStatus
from store.discovery.actions import refresh_stale
from tests.conftest import make_listing


def shown(client: Client, **query: str | list[str]) -> str:
    refresh_stale()
    response = client.get("/models", query)
    assert response.status_code == 200
    return response.content.decode()


@pytest.mark.django_db
def test_an_empty_store_says_what_to_do(client: Client) -> None:
    assert "Become a provider" in shown(client)
    assert "The shelf is empty" in client.get("/").content.decode()


@pytest.mark.django_db
def test_a_row_has_the_facts_one_decides_by(client: Client, listing: Listing) -> None:
    Measurement.objects.create(
        release=listing.current_release, status=MeasurementStatus.DONE, tokens_per_s_1=84.31, perplexity=7.126
    )
    page = shown(client)
    assert 'href="/provider/bard"' in page
    for fact in ("$0.10", "$0.40", "84.3", "7.13", "apache-2.0"):
        assert fact in page


@pytest.mark.django_db
def test_every_word_must_be_found(client: Client, listing: Listing) -> None:
    Listing.objects.update(summary="Writes verse", tags=["poetry"])
    assert "/provider/bard" in shown(client, q="bard VERSE poetry")
    assert "No model fits" in shown(client, q="bard prose")


@pytest.mark.django_db
def test_a_slip_of_the_finger_is_forgiven_and_said(client: Client, listing: Listing) -> None:
    Listing.objects.update(summary="Translates Lithuanian")
    page = shown(client, q="lithuanain")
    assert 'href="/provider/bard"' in page
    assert "lithuanian</strong>" in page


@pytest.mark.django_db
def test_facets_have_counts_and_narrow(client: Client, provider: User, listing: Listing) -> None:
    other = make_listing(provider.personal_organization, "coder")
    Listing.objects.filter(pk=other.pk).update(licence="mit", languages=["de"])
    page = shown(client)
    assert re.search(r'name="licence" value="mit">.*?<span class="count">1</span>', page)
    assert "German" in page
    page = shown(client, licence="mit")
    assert 'name="licence" value="mit" checked' in page
    assert 'href="/provider/coder"' in page
    assert 'href="/provider/bard"' not in page


@pytest.mark.django_db
def test_what_is_chosen_can_be_taken_away_one_by_one(client: Client, listing: Listing) -> None:
    page = shown(client, q="bard", licence=["apache-2.0", "mit"], tag="verse", price_min="5", sort="newest")
    assert 'href="/models?licence=apache-2.0&amp;licence=mit&amp;tag=verse&amp;price_min=5&amp;sort=newest"' in page
    assert 'href="/models?q=bard&amp;licence=apache-2.0&amp;tag=verse&amp;price_min=5&amp;sort=newest"' in page
    assert 'href="/models?q=bard&amp;licence=apache-2.0&amp;licence=mit&amp;tag=verse&amp;sort=newest"' in page
    assert '<input type="hidden" name="tag" value="verse">' in page  # it has no box of its own, and is not forgotten
    assert '<input type="hidden" name="price_min" value="5">' in page


@pytest.mark.django_db
def test_the_cheapest_comes_first_where_that_is_asked(client: Client, provider: User, listing: Listing) -> None:
    make_listing(provider.personal_organization, "cheap", input_nano=1, output_nano=2)
    page = shown(client, sort="price")
    assert page.index("/provider/cheap") < page.index("/provider/bard")


@pytest.mark.django_db
def test_nothing_found_helps_to_find_something(client: Client, listing: Listing) -> None:
    page = shown(client, q="bard", licence="mit")
    empty = page[page.index('class="empty"') :]
    assert 'href="/models?q=bard"' in empty
    assert 'href="/models?licence=mit"' in empty
    assert 'href="/rankings"' in empty


@pytest.mark.django_db
@pytest.mark.parametrize(
    "query",
    [
        {"sort": "nonsense"},
        {"cursor": "-1"},
        {"cursor": "9" * 40},
        {"q": "\x00%_'\""},
        {"q": "<script>"},
        {"licence": "x" * 500},
        {"price_min": "NaN", "price_max": "1e999"},
        {"context": "'; DROP TABLE", "unknown": "x"},
    ],
)
def test_a_filter_that_makes_no_sense_is_left_out(client: Client, listing: Listing, query: dict[str, str]) -> None:
    assert "<script>" not in shown(client, **query)


@pytest.mark.django_db
def test_htmx_gets_the_search_alone(client: Client, listing: Listing) -> None:
    refresh_stale()
    query = {"q": "", "sort": "relevance", "licence": "apache-2.0"}
    response = client.get("/models", query, headers={"HX-Request": "true"})
    assert response["HX-Push-Url"] == "/models?licence=apache-2.0"
    assert "HX-Request" in response["Vary"]
    assert "<html" not in response.content.decode()
    assert "/provider/bard" in response.content.decode()


@pytest.mark.django_db
@pytest.mark.parametrize(
    "hidden", [{"is_private": True}, {"status": ListingStatus.DRAFT}, {"status": ListingStatus.SUSPENDED}]
)
def test_what_is_hidden_is_found_by_nobody_and_seen_by_its_owner(
    client: Client, seller: Client, browser: Client, listing: Listing, hidden: dict[str, object]
) -> None:
    Listing.objects.update(**hidden)
    for visitor in (Client(), browser):
        assert visitor.get("/provider/bard").status_code == 404
        assert "/provider/bard" not in shown(visitor)
    assert seller.get("/provider/bard").status_code == 200


@pytest.mark.django_db
def test_pages_of_the_catalog(client: Client, provider: User) -> None:
    for number in range(23):
        make_listing(provider.personal_organization, f"m{number:02}")
    first = shown(client, sort="newest")
    following = re.search(r'rel="next" href="([^"]*)"', first)
    assert following
    second = client.get(following[1].replace("&amp;", "&")).content.decode()
    names = [set(re.findall(r'href="/provider/(m\d\d)"', page)) for page in (first, second)]
    assert [len(found) for found in names] == [20, 3]
    assert not names[0] & names[1]
    assert 'rel="prev"' in second
