from __future__ import annotations

import re

import pytest
from django.test import Client

from store.accounts.models import User
from store.catalog.models import Listing, ListingStatus, Measurement, MeasurementStatus
from store.discovery.actions import refresh_stale
from tests.conftest import make_listing


@pytest.fixture
def cheap(provider: User, listing: Listing) -> Listing:
    """Costs less than bard, and answers later."""
    made = make_listing(provider.personal_organization, "cheap", input_nano=10_000_000, output_nano=20_000_000)
    for each, ttft_ms in ((listing, 20.0), (made, 90.0)):
        Measurement.objects.create(release=each.current_release, status=MeasurementStatus.DONE, ttft_ms=ttft_ms)
    return made


def compared(client: Client, *names: str) -> str:
    response = client.get("/compare", {"m": list(names)})
    assert response.status_code == 200
    return response.content.decode()


def line(page: str, label: str) -> list[str]:
    """The words of a line's cells."""
    found = re.search(rf'<th scope="row">{re.escape(label)}</th>(.*?)</tr>', page)
    assert found, label
    return [re.sub(r"<[^>]*>", "", cell) for cell in re.findall(r"<td[^>]*>(.*?)</td>", found[1])]


def test_numbers_stand_side_by_side_and_the_best_is_named_in_words(client: Client, cheap: Listing) -> None:
    page = compared(client, "provider/bard", "provider/cheap")
    assert line(page, "Output / 1M") == ["$0.40", "$0.02 best"]
    assert line(page, "Time to first token") == ["20 ms best", "90 ms"]
    assert line(page, "Context") == ["512", "512"]  # where all are alike, none is best
    assert "Perplexity" not in re.findall(r'<th scope="row">(.*?)</th>', page)  # nobody has one


def test_the_address_is_the_state(client: Client, cheap: Listing) -> None:
    page = compared(client, "provider/bard", "provider/cheap")
    assert 'href="/compare?m=provider/cheap"' in page  # without bard
    assert 'href="/compare?m=provider/bard"' in page
    assert page.count('type="hidden" name="m"') == 2  # what is added comes to these


def test_models_that_are_like_it_are_proposed(client: Client, cheap: Listing) -> None:
    Listing.objects.update(tags=["verse"])
    refresh_stale()
    assert 'href="/compare?m=provider/bard&amp;m=provider/cheap"' in compared(client, "provider/bard")


def test_four_are_the_most_and_each_is_there_once(client: Client, provider: User, listing: Listing) -> None:
    names = [make_listing(provider.personal_organization, f"m{number}").name for number in range(5)]
    page = compared(client, names[0], names[0], *names[1:])
    assert page.count('<th scope="col">') == 4
    assert 'id="add"' not in page


@pytest.mark.parametrize(
    "name", ["provider/none", "nonsense", "provider/bard/x", "\x00/\x00", "<b>/<i>", "/", "x" * 5000 + "/y"]
)
def test_what_is_not_there_is_said_and_is_no_error(client: Client, cheap: Listing, name: str) -> None:
    page = compared(client, "provider/cheap", name)
    assert "Not in the store" in page
    assert "<b>/<i>" not in page
    assert page.count('<th scope="col">') == 1


@pytest.mark.parametrize("hidden", [{"is_private": True}, {"status": ListingStatus.SUSPENDED}])
def test_what_one_may_not_see_is_as_one_that_does_not_exist(
    client: Client, cheap: Listing, hidden: dict[str, object]
) -> None:
    Listing.objects.filter(pk=cheap.pk).update(**hidden)
    assert "Not in the store" in compared(client, "provider/bard", "provider/cheap")


def test_ones_own_private_model_can_be_compared(seller: Client, cheap: Listing) -> None:
    Listing.objects.filter(pk=cheap.pk).update(is_private=True)
    assert compared(seller, "provider/bard", "provider/cheap").count('<th scope="col">') == 2


def test_nothing_chosen_says_what_to_do(client: Client, listing: Listing) -> None:
    refresh_stale()
    page = compared(client)
    assert "Nothing to compare yet" in page
    assert 'href="/compare?m=provider/bard"' in page


def test_the_prompt_goes_to_each_of_them_for_the_signed_in_alone(
    client: Client, browser: Client, cheap: Listing
) -> None:
    page = compared(browser, "provider/bard", "provider/cheap")
    assert re.findall(r'data-answer="([^"]*)"', page) == [
        "/playground/provider/bard/chat",
        "/playground/provider/cheap/chat",
    ]
    visitors = compared(Client(), "provider/bard", "provider/cheap")
    assert "data-answer" not in visitors
    assert "/accounts/login/?next=/compare%3Fm%3Dprovider%252Fbard" in visitors
