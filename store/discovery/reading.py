"""From the catalog to rows of the index, not yet written."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone

from store.catalog.models import CALLABLE, Listing, Measurement, MeasurementStatus, Price
from store.discovery.facets import facets_of
from store.discovery.keys import quality, typical_price
from store.discovery.models import ListingIndex, Standing


@dataclass(frozen=True, slots=True)
class Reading:
    """A row without its lexemes, and the Markdown of its card."""

    row: ListingIndex
    card: str


def read_rows(listing_ids: Sequence[int]) -> list[Reading]:
    """What the index should say of those of these listings that are public."""
    listings = list(
        Listing.objects.public()
        .filter(pk__in=listing_ids, current_release__isnull=False)
        .select_related("organization", "current_release", "base__organization")
    )
    prices = {
        price.listing_id: price for price in _first(Price.objects.filter(listing__in=listings).current(), "listing")
    }
    next_prices = {
        price.listing_id: price for price in _first(Price.objects.filter(listing__in=listings).scheduled(), "listing")
    }
    releases = [listing.current_release_id for listing in listings]
    done = Measurement.objects.filter(release__in=releases, status=MeasurementStatus.DONE).order_by("-id")
    measured = {found.release_id: found for found in _first(done, "release")}
    standings = Standing.objects.in_bulk([listing.pk for listing in listings])
    return [
        _reading(
            listing,
            prices.get(listing.pk),
            next_prices.get(listing.pk),
            measured.get(listing.current_release_id or 0),
            standings.get(listing.pk) or Standing(),
        )
        for listing in listings
    ]


def _first(found: QuerySet[Any], field: str) -> QuerySet[Any]:
    """The first row of each ``field`` in the order that the rows have."""
    return found.order_by(field, *found.query.order_by).distinct(field)


def _reading(
    listing: Listing, price: Price | None, next_price: Price | None, measured: Measurement | None, standing: Standing
) -> Reading:
    release = listing.current_release
    assert release is not None  # read_rows asks for it
    row = ListingIndex(
        listing=listing,
        organization=listing.organization,
        name=listing.name,
        slug=listing.slug,
        provider=listing.organization.slug,
        provider_name=listing.organization.name,
        title=listing.title,
        summary=listing.summary,
        status=listing.status,
        licence=listing.licence,
        tags=listing.tags,
        languages=listing.languages,
        task=listing.task,
        category=listing.category,
        weights=listing.weights,
        architecture=release.architecture,
        parameters=release.parameters,
        size=release.size,
        context_length=release.context_length,
        rating=standing.rating,
        rating_count=standing.rating_count,
        trending=standing.trending,
        uptime=standing.uptime,
        calls_30d=standing.calls_30d,
        published_at=listing.published_at or listing.created_at,
        refreshed_at=timezone.now(),
        stale_at=next_price.starts_at if next_price else None,
    )
    _add_base(row, listing)
    _add_price(row, price)
    _add_measured(row, measured)
    row.quality = quality(row)
    row.facets = facets_of(row)
    return Reading(row, release.card)


def _add_base(row: ListingIndex, listing: Listing) -> None:
    """The base is named only where everybody can see it."""
    base = listing.base
    if base and base.status in CALLABLE and not base.is_private and base.deleted_at is None:
        row.base_id, row.base_name, row.base_relation = base.pk, base.name, listing.base_relation


def _add_price(row: ListingIndex, price: Price | None) -> None:
    if price:
        row.input_nano, row.cached_input_nano = price.input_nano, price.cached_input_nano
        row.output_nano, row.request_nano = price.output_nano, price.request_nano
        row.price_nano = typical_price(price.input_nano, price.output_nano, price.request_nano)


def _add_measured(row: ListingIndex, measured: Measurement | None) -> None:
    if measured:
        for name in ("perplexity", "ttft_ms", "tokens_per_s_1", "tokens_per_s_8", "tokens_per_s_32"):
            number = getattr(measured, name)
            setattr(row, name, number if number is not None and math.isfinite(number) else None)
        row.hardware = measured.hardware
