"""The listings that lead in something, and what a provider has on its shelf."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from django.db import models
from django.db.models import Avg, Count, F, Q, Sum
from django.utils.translation import gettext_lazy as _

from store.accounts.models import Organization
from store.discovery.models import ListingIndex
from store.discovery.query import SearchQuery
from store.discovery.search import search
from store.discovery.sorts import Sort

RANKED = 25


class Ranking(models.TextChoices):
    TRENDING = "trending", _("Trending")
    RATING = "rating", _("Best rated")
    FASTEST = "fastest", _("Fastest")
    CHEAPEST = "cheapest", _("Cheapest")
    NEWEST = "newest", _("Newest")


SORTS = {
    Ranking.TRENDING: Sort.TRENDING,
    Ranking.RATING: Sort.RATING,
    Ranking.FASTEST: Sort.SPEED,
    Ranking.CHEAPEST: Sort.PRICE,
    Ranking.NEWEST: Sort.NEWEST,
}
# Who has no number to be ranked by is not ranked last but left out.
HAS_NUMBER: dict[Ranking, Callable[[ListingIndex], bool]] = {
    Ranking.TRENDING: lambda row: row.trending > 0,
    Ranking.RATING: lambda row: row.rating_count > 0,
    Ranking.FASTEST: lambda row: row.tokens_per_s_1 is not None,
    Ranking.CHEAPEST: lambda row: row.price_nano is not None,
    Ranking.NEWEST: lambda row: True,
}


def rankings(kind: str, category: str = "", *, limit: int = RANKED) -> list[ListingIndex]:
    """The leading listings, in a category or in all. Raises ValueError on an unknown kind."""
    ranking = Ranking(kind)
    chosen = {"category": (category,)} if category else {}
    page = search(SearchQuery(chosen=chosen, sort=SORTS[ranking], per_page=limit), with_facets=False)
    return [row for row in page.items if HAS_NUMBER[ranking](row)]


@dataclass(frozen=True, slots=True)
class ProviderFigures:
    """Of a provider's public listings. ``rating`` is the mean over its reviewed ones, weighted by their reviews; None without a review."""

    listings: int
    calls_30d: int
    rating: float | None
    rating_count: int
    uptime: float | None  # the mean over those that were called


def provider_figures(organization: Organization) -> ProviderFigures:
    """Totals for a provider's page; its shelf is ``search`` with the facet ``provider``."""
    sums = ListingIndex.objects.filter(organization=organization).aggregate(
        listings=Count("pk"),
        calls_30d=Sum("calls_30d", default=0),
        reviews=Sum("rating_count", default=0),
        stars=Sum(F("rating") * F("rating_count"), filter=Q(rating_count__gt=0), default=0.0),
        uptime=Avg("uptime"),
    )
    count = sums["reviews"]
    return ProviderFigures(
        listings=sums["listings"],
        calls_30d=int(sums["calls_30d"]),
        rating=sums["stars"] / count if count else None,
        rating_count=count,
        uptime=sums["uptime"],
    )
