"""A model's own page: what it is, costs, was measured at, how it is served, who may have its files, and what stands near."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from store.accounts.models import User
from store.catalog.models import (
    AccessRequest,
    AccessStatus,
    BaseRelation,
    Listing,
    ListingStatus,
    Measurement,
    MeasurementStatus,
    Price,
    Weights,
)
from store.discovery.actions import refresh_stale
from store.reputation.rollup import roll_up
from tests.conftest import make_listing
from tests.store.console.conftest import MakeRun


def shown(client: Client, address: str = "/provider/bard") -> str:
    refresh_stale()
    response = client.get(address)
    assert response.status_code == 200
    return response.content.decode()


def test_it_says_what_it_costs_and_how_to_call_it(client: Client, browser: Client, listing: Listing) -> None:
    page = shown(Client())
    assert listing.current_release
    assert listing.current_release.digest in page
    assert "&quot;model&quot;: &quot;provider/bard&quot;" in page
    assert "Sign in to try" in page
    assert 'action="/playground/provider/bard/chat"' in shown(browser)


@pytest.mark.parametrize("path", ["/provider/none", "/none/bard", "/provider/%00", "/a/b/c", "/provider/none/reviews"])
def test_a_model_that_does_not_exist_is_a_404_in_our_design(client: Client, listing: Listing, path: str) -> None:
    response = client.get(path)
    assert response.status_code == 404
    assert 'class="site-header"' in response.content.decode()


def test_measured_numbers_come_with_day_hardware_and_digest(client: Client, listing: Listing) -> None:
    assert "This release was not measured yet" in shown(client)
    assert listing.current_release
    for number, status in ((55.5, MeasurementStatus.DONE), (66.6, MeasurementStatus.FAILED)):
        Measurement.objects.create(
            release=listing.current_release, status=status, tokens_per_s_1=number, ttft_ms=18.4, perplexity=12.3,
            memory_bytes=3 * 1024**3, hardware="NVIDIA H100 80GB", software="torch 2", reference=f"sha256:{'e' * 64}",
            measured_at=timezone.now(),
        )  # fmt: skip
    page = shown(client)
    for said in (
        "55.5",
        "18.4",
        "12.3",
        "3 GB",
        "NVIDIA H100 80GB",
        listing.current_release.digest[:19],
        "/docs/measuring",
    ):
        assert said in page
    assert "66.6" not in page  # the newest that was finished counts


def test_an_announced_price_is_said_before_it_counts(client: Client, listing: Listing) -> None:
    Price.objects.create(
        listing=listing, input_nano=70_000_000, cached_input_nano=0, output_nano=90_000_000,
        starts_at=timezone.now() + timedelta(days=9),
    )  # fmt: skip
    page = shown(client)
    assert "The price changes on" in page
    assert "$0.07 in, $0.09 out" in page.replace('<span class="money">', "").replace("</span>", "")
    assert "$0.40" in page


def test_the_terms_are_listed(client: Client, listing: Listing) -> None:
    assert "Fine-tunes may be sold" in shown(client)
    Price.objects.create(
        listing=listing, input_nano=5, cached_input_nano=5, output_nano=5, request_nano=3 * 10**6, training_nano=2 * 10**9,
        free_nano=10**9, derivatives_allowed=True, royalty_ppm=25_000,
    )  # fmt: skip
    page = shown(client)
    for said in (
        "Each request",
        "$0.00",
        "Training",
        "$2.00",
        "Free each month",
        "$1.00",
        "yes, for 2.5% of their calls",
    ):
        assert said in page


def test_a_deprecated_model_names_its_last_day(client: Client, listing: Listing) -> None:
    Listing.objects.update(
        status=ListingStatus.DEPRECATED,
        shutdown_at=timezone.now() + timedelta(days=40),
        status_reason="Bard 2 <is> better.",
    )
    page = shown(client)
    assert "It can be called until" in page
    assert "Bard 2 &lt;is&gt; better." in page


def test_a_suspended_model_tells_its_owner_why(seller: Client, listing: Listing) -> None:
    Listing.objects.update(status=ListingStatus.SUSPENDED, status_reason="A licence was broken.")
    page = shown(seller)
    assert "A licence was broken." in page
    assert "data-playground" not in page


def test_open_weights_have_a_snippet_and_closed_ones_a_sentence(client: Client, listing: Listing) -> None:
    assert "called here and never downloaded" in shown(client)
    Listing.objects.update(weights=Weights.OPEN)
    page = shown(client)
    assert "hf download provider/bard" in page
    assert "snapshot_download" in page
    assert "HF_TOKEN" not in page


def test_a_gated_models_files_are_asked_for(browser: Client, seller: Client, consumer: User, listing: Listing) -> None:
    Listing.objects.update(weights=Weights.GATED)
    page = shown(browser)
    assert "hf download" not in page
    assert "Ask for access" in page
    asked = AccessRequest.objects.create(listing=listing, user=consumer)
    assert "has not answered yet" in shown(browser)
    AccessRequest.objects.filter(pk=asked.pk).update(status=AccessStatus.REFUSED, reason="For research only.")
    assert "For research only." in shown(browser)
    AccessRequest.objects.filter(pk=asked.pk).update(status=AccessStatus.GRANTED)
    assert "HF_TOKEN" in shown(browser)
    AccessRequest.objects.filter(pk=asked.pk).update(expires_at=timezone.now() - timedelta(hours=1))
    assert "hf download" not in shown(browser)
    assert "hf download" in shown(seller)  # one's own
    assert "hf download" not in shown(Client())


def test_service_is_drawn_and_said_in_words(client: Client, listing: Listing, make_run: MakeRun) -> None:
    assert "It was not called in the last 30 days" in shown(client)
    make_run()
    roll_up()
    page = shown(client)
    assert "1 call" in page
    assert "100%" in page
    assert page.count('<svg class="spark"') == 6
    assert 'aria-label="Uptime over 24 hours"' in page


def test_base_and_fine_tunes_are_linked_both_ways_and_hidden_ones_are_not(
    client: Client, seller: Client, provider: User, listing: Listing
) -> None:
    child = make_listing(provider.personal_organization, "poet")
    secret = make_listing(provider.personal_organization, "secret")
    Listing.objects.filter(pk__in=[child.pk, secret.pk]).update(base=listing, base_relation=BaseRelation.FINETUNE)
    Listing.objects.filter(pk=secret.pk).update(is_private=True)
    page = shown(client)
    assert "Made from this one" in page
    assert 'href="/provider/poet"' in page
    assert "/provider/secret" not in page
    assert "/provider/secret" in shown(seller)
    page = shown(client, "/provider/poet")
    assert "Made from" in page
    assert 'href="/provider/bard"' in page


def test_a_model_like_it_is_shown(client: Client, provider: User, listing: Listing) -> None:
    make_listing(provider.personal_organization, "twin")
    Listing.objects.update(tags=["verse"])
    page = shown(client)
    assert "Similar models" in page
    assert 'href="/provider/twin"' in page


def test_the_card_shows_images_of_the_release(client: Client, listing: Listing) -> None:
    assert listing.current_release
    release = make_listing(listing.organization, "pictured").current_release
    assert release
    release.pk, release.number, release.card = None, 2, "![plot](a.png)\n<script>alert(1)</script>"
    release.digest = f"sha256:{'d' * 64}"
    release.save(force_insert=True)
    Listing.objects.filter(slug="pictured").update(current_release=release)
    page = shown(client, "/provider/pictured")
    assert f'src="/provider/pictured/image/{"d" * 40}/a.png"' in page
    assert "alert(1)" not in page
    assert page.count('<th scope="col">Number</th>') == 1
    assert '<span class="badge badge-good">current</span>' in page


def test_a_model_of_embeddings_is_called_as_one_and_has_no_chat(browser: Client, provider: User) -> None:
    embedder = make_listing(provider.personal_organization, "embedder")
    release = embedder.current_release
    assert release
    release.pk, release.number, release.task, release.digest = None, 2, "feature-extraction", f"sha256:{'b' * 64}"
    release.save(force_insert=True)
    Listing.objects.filter(pk=embedder.pk).update(current_release=release, weights=Weights.OPEN)
    page = shown(browser, "/provider/embedder")
    assert "/v1/embeddings" in page
    assert "import AutoModel, AutoTokenizer" in page
    assert "data-playground" not in page
