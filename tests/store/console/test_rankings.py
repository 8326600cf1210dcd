from __future__ import annotations

import pytest
from django.test import Client

from store.accounts.models import User
from store.catalog.models import Listing, Measurement, MeasurementStatus
from store.discovery.actions import refresh_stale
from tests.conftest import make_listing


def page(client: Client, address: str, **query: str) -> str:
    refresh_stale()
    response = client.get(address, query)
    assert response.status_code == 200
    return response.content.decode()


@pytest.mark.django_db
def test_the_fastest_are_ranked_by_what_was_measured(client: Client, provider: User, listing: Listing) -> None:
    quick = make_listing(provider.personal_organization, "quick")
    make_listing(provider.personal_organization, "unmeasured")
    for each, speed in ((listing, 10.0), (quick, 90.0)):
        Measurement.objects.create(release=each.current_release, status=MeasurementStatus.DONE, tokens_per_s_1=speed)
    shown = page(client, "/rankings/fastest")
    assert shown.index("/provider/quick") < shown.index("/provider/bard")
    assert "/provider/unmeasured" not in shown


@pytest.mark.django_db
def test_a_ranking_of_a_category_has_its_models_alone(client: Client, provider: User, listing: Listing) -> None:
    Listing.objects.filter(pk=listing.pk).update(category="code")
    make_listing(provider.personal_organization, "poet")
    shown = page(client, "/rankings/newest", category="code")
    assert "/provider/bard" in shown
    assert "/provider/poet" not in shown
    assert "/provider/poet" in page(client, "/rankings/newest", category="no such")


@pytest.mark.django_db
def test_an_empty_ranking_says_so_and_an_unknown_one_is_a_404(client: Client) -> None:
    assert "Nothing to rank" in page(client, "/rankings")
    assert client.get("/rankings/loudest").status_code == 404


@pytest.mark.django_db
def test_a_category_has_a_page_and_a_door(client: Client, listing: Listing) -> None:
    Listing.objects.update(category="code")
    assert "/provider/bard" in page(client, "/categories/code")
    assert 'href="/categories/code"' in page(client, "/")
    assert "No model here yet" in page(client, "/categories/law")
    assert client.get("/categories/none").status_code == 404


@pytest.mark.django_db
def test_home_shows_what_is_new_and_a_search_box(client: Client, listing: Listing) -> None:
    shown = page(client, "/")
    assert 'action="/models"' in shown
    assert "/provider/bard" in shown
