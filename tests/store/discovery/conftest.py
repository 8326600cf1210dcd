"""Listings to find."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from store.accounts.models import Organization, User
from store.catalog.models import Listing, ListingStatus, Measurement, MeasurementStatus, Price, Release
from store.discovery.query import read_query
from store.discovery.search import SearchPage, search

ListingMaker = Callable[..., Listing]
OF_RELEASE = {"architecture": "GPT2LMHeadModel", "parameters": 1, "context_length": 512, "size": 1, "card": ""}
OF_MEASUREMENT = ("perplexity", "ttft_ms", "tokens_per_s_1")


@pytest.fixture
def shelve(provider: User) -> ListingMaker:
    """Publishes a listing of the provider's: fields of Listing, Release, Measurement by name, ``price`` in nano-dollars in and out."""

    def make(slug: str, *, organization: Organization | None = None, price: int = 100, **fields: Any) -> Listing:
        of_release = {name: fields.pop(name, default) for name, default in OF_RELEASE.items()}
        measured = {name: fields.pop(name) for name in OF_MEASUREMENT if name in fields}
        owner = organization or provider.personal_organization
        values = {"title": slug.replace("-", " ").title(), "licence": "apache-2.0", **fields}
        listing = Listing.objects.create(organization=owner, slug=slug, **values)
        release = Release.objects.create(
            listing=listing, number=1, digest=f"sha256:{listing.id:064x}", vocab_size=256, **of_release
        )
        Price.objects.create(listing=listing, input_nano=price, cached_input_nano=price, output_nano=price)
        if measured:
            Measurement.objects.create(release=release, status=MeasurementStatus.DONE, **measured)
        Listing.objects.filter(pk=listing.pk).update(
            current_release=release, status=fields.get("status", ListingStatus.PUBLISHED), published_at=timezone.now()
        )
        listing.refresh_from_db()
        return listing

    return make


def page_of(**params: Any) -> SearchPage:
    """The page of an address with these parameters."""
    lists = {name: value if isinstance(value, list) else [str(value)] for name, value in params.items()}
    return search(read_query(lists))


def found(q: str = "", **params: Any) -> list[str]:
    """The slugs of that page, in order."""
    return [row.slug for row in page_of(q=q, **params).items]
