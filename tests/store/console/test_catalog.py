from __future__ import annotations

import pytest
from django.test import Client

from store.accounts.models import User
from store.catalog.models import Listing, ListingStatus
from tests.conftest import make_listing


def shown(client: Client, **query: str) -> str:
    response = client.get("/models", query)
    assert response.status_code == 200
    return response.content.decode()


@pytest.mark.django_db
def test_an_empty_store_says_what_to_do(client: Client) -> None:
    assert "Become a provider" in shown(client)
    assert "The shelf is empty" in client.get("/").content.decode()


@pytest.mark.django_db
def test_a_listing_is_shown_with_its_price(client: Client, listing: Listing) -> None:
    page = shown(client)
    assert 'href="/provider/bard"' in page
    assert "$0.10" in page
    assert "$0.40" in page


@pytest.mark.django_db
def test_every_word_must_be_found(client: Client, listing: Listing) -> None:
    Listing.objects.update(summary="Writes verse", tags=["poetry"])
    assert "/provider/bard" in shown(client, q="bard VERSE poetry")
    assert "No model fits" in shown(client, q="bard prose")


@pytest.mark.django_db
def test_filters_and_order(client: Client, provider: User, listing: Listing) -> None:
    cheap = make_listing(provider.personal_organization, "cheap", input_nano=1, output_nano=2)
    Listing.objects.filter(pk=cheap.pk).update(licence="mit", tags=["code"])
    assert "/provider/cheap" not in shown(client, licence="apache-2.0")
    assert "/provider/bard" not in shown(client, tag="code")
    page = shown(client, sort="cheapest")
    assert page.index("/provider/cheap") < page.index("/provider/bard")


@pytest.mark.django_db
@pytest.mark.parametrize(
    "query", [{"sort": "nonsense"}, {"page": "-1"}, {"page": "x"}, {"q": "\x00%_'\""}, {"licence": "x" * 500}]
)
def test_a_filter_that_makes_no_sense_is_left_out(client: Client, listing: Listing, query: dict[str, str]) -> None:
    assert client.get("/models", query).status_code == 200


@pytest.mark.django_db
def test_htmx_gets_the_list_alone(client: Client, listing: Listing) -> None:
    response = client.get("/models", headers={"HX-Request": "true"})
    assert "HX-Request" in response["Vary"]
    assert "<html" not in response.content.decode()
    assert "/provider/bard" in response.content.decode()


@pytest.mark.django_db
@pytest.mark.parametrize(
    "hidden", [{"is_private": True}, {"status": ListingStatus.DRAFT}, {"status": ListingStatus.SUSPENDED}]
)
def test_what_is_hidden_is_seen_by_its_owner_alone(
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
    assert "Page 1 of 2" in shown(client, sort="name")
    assert "/provider/m22" in shown(client, sort="name", page="2")


@pytest.mark.django_db
def test_a_listings_page_says_what_it_costs_and_how_to_call_it(
    client: Client, browser: Client, listing: Listing
) -> None:
    page = Client().get("/provider/bard").content.decode()
    assert listing.current_release
    assert listing.current_release.digest in page
    assert "&quot;model&quot;: &quot;provider/bard&quot;" in page
    assert "Sign in to try" in page
    assert 'action="/playground/provider/bard/chat"' in browser.get("/provider/bard").content.decode()


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/provider/none", "/none/bard", "/provider/%00", "/a/b/c"])
def test_a_model_that_does_not_exist_is_a_404_in_our_design(client: Client, listing: Listing, path: str) -> None:
    response = client.get(path)
    assert response.status_code == 404
    assert 'class="site-header"' in response.content.decode()
