"""Listings as the storefront shows them: with the price in force, what was measured, what customers say.

What is public is read from the index of search, in one query. What is a visitor's own, and private, is read from the catalog.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import OuterRef, Subquery

from store.catalog.models import CALLABLE, Listing, ListingQuerySet, Measurement, MeasurementStatus, Price
from store.reputation.models import Favourite

PRICES = ("input_nano", "cached_input_nano", "output_nano", "request_nano", "free_nano")
PER_PAGE = 20
NUMBERS = ("ttft_ms", "tokens_per_s_1", "tokens_per_s_32", "perplexity", "memory_bytes")


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """What a row of a shelf shows: the same names as in ``store.discovery.models.ListingIndex``."""

    provider: str
    slug: str
    name: str
    title: str
    summary: str
    licence: str
    weights: str
    status: str
    is_private: bool
    tags: Sequence[str]
    parameters: int
    context_length: int
    input_nano: int | None
    output_nano: int | None
    tokens_per_s_1: float | None
    perplexity: float | None
    rating: float
    rating_count: int


def on_sale(user: Any) -> ListingQuerySet:
    """What the user may see and call."""
    return Listing.objects.visible_to(user).filter(status__in=CALLABLE, current_release__isnull=False, deleted_at=None)


def priced(listings: ListingQuerySet) -> ListingQuerySet:
    """With organization, release and the price in force: each of PRICES, null where there is none."""
    current = Price.objects.current().filter(listing=OuterRef("pk"))
    prices = {name: Subquery(current.values(name)[:1]) for name in PRICES}
    return listings.select_related("organization", "current_release").annotate(**prices)


def measured(listings: ListingQuerySet) -> ListingQuerySet:
    """With each of NUMBERS of the current release, as last measured; null where it was not yet."""
    done = Measurement.objects.filter(release=OuterRef("current_release"), status=MeasurementStatus.DONE).order_by(
        "-id"
    )
    return listings.annotate(**{name: Subquery(done.values(name)[:1]) for name in NUMBERS})


def full(listings: ListingQuerySet) -> ListingQuerySet:
    """With prices, numbers and standing."""
    return measured(priced(listings)).select_related("standing")


def rows(listings: Iterable[Listing]) -> list[Row]:
    """Of listings from :func:`full`."""
    return [_row(listing) for listing in listings]


def named(user: Any, names: Sequence[str]) -> list[Listing]:
    """The listings of these full names that the user may see and call, in this order, from :func:`full`."""
    ids = [on_sale(user).named(name).values_list("pk", flat=True).first() for name in names]
    found = full(on_sale(user).filter(pk__in=[pk for pk in ids if pk])).in_bulk()
    return [found[pk] for pk in ids if pk in found]


def favourites_of(user: Any, *, before: int | None) -> tuple[list[Row], int | None]:
    """A page of the user's favourites, and the id before which the next one begins (None on the last)."""
    marked = Favourite.objects.of(user).filter(listing__in=on_sale(user))
    page = list((marked.filter(id__lt=before) if before else marked)[: PER_PAGE + 1])
    found = full(on_sale(user).filter(pk__in=[each.listing_id for each in page])).in_bulk()
    shown = page[:PER_PAGE]
    return rows(found[each.listing_id] for each in shown), shown[-1].pk if len(page) > PER_PAGE else None


def _row(listing: Any) -> Row:
    release, standing = listing.current_release, getattr(listing, "standing", None)
    return Row(
        provider=listing.organization.slug,
        slug=listing.slug,
        name=listing.name,
        title=listing.title,
        summary=listing.summary,
        licence=listing.licence,
        weights=listing.weights,
        status=listing.status,
        is_private=listing.is_private,
        tags=listing.tags,
        parameters=release.parameters,
        context_length=release.context_length,
        input_nano=listing.input_nano,
        output_nano=listing.output_nano,
        tokens_per_s_1=listing.tokens_per_s_1,
        perplexity=listing.perplexity,
        rating=standing.rating if standing else 0,
        rating_count=standing.rating_count if standing else 0,
    )
