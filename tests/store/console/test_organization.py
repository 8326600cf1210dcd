from __future__ import annotations

import pytest
from django.test import Client

from store.accounts.models import ProviderProfile, User
from store.accounts.slugs import RESERVED
from store.catalog.models import Listing
from store.discovery.actions import refresh_stale
from store.discovery.models import Standing
from tests.conftest import make_listing, make_user


@pytest.fixture
def atelier(db: None) -> User:
    """A provider whose name is no page of the store's own."""
    user = make_user("atelier")
    ProviderProfile.objects.create(
        organization=user.personal_organization, about="We <b>train</b>.", website="https://example.com/"
    )
    return user


def test_a_provider_has_a_page_at_their_name(client: Client, atelier: User) -> None:
    sold = make_listing(atelier.personal_organization, "poet")
    hidden = make_listing(atelier.personal_organization, "hidden")
    Listing.objects.filter(pk=hidden.pk).update(is_private=True)
    Standing.objects.update_or_create(
        listing=sold, defaults={"rating": 4.5, "rating_count": 2, "calls_30d": 1234, "uptime": 0.99879}
    )
    refresh_stale()
    page = client.get("/atelier").content.decode()
    assert "We &lt;b&gt;train&lt;/b&gt;." in page
    assert 'rel="nofollow noopener noreferrer ugc" href="https://example.com/"' in page
    assert 'href="/atelier/poet"' in page
    assert "/atelier/hidden" not in page
    for figure in ("99.87%", "4.5", "1.2K"):
        assert figure in page


def test_a_provider_without_models_has_a_page_that_says_so(client: Client, atelier: User) -> None:
    assert "Nothing for sale yet" in client.get("/atelier").content.decode()


@pytest.mark.parametrize("name", ["consumer", "nobody", "ATELIER", "%00", "a.b"])
def test_who_sells_nothing_has_no_page(client: Client, consumer: User, atelier: User, name: str) -> None:
    assert client.get(f"/{name}").status_code == 404


def test_no_page_of_the_store_is_shadowed_by_a_provider(client: Client, atelier: User) -> None:
    """Whatever comes first in an address of the store's own is a name that no organization can take."""
    for address in ("/models", "/rankings", "/compare", "/favourites", "/keys", "/docs/measuring", "/categories/code"):
        assert client.get(address).status_code in (200, 302), address
        assert address.split("/")[1] in RESERVED
