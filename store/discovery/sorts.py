"""The orders of a search. In each, more is better: so the best of all are the best of a tier (``models.Tier``)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db import models
from django.utils.translation import gettext_lazy as _

from store.discovery.models import ListingIndex


class Sort(models.TextChoices):
    RELEVANCE = "relevance", _("Best match")
    TRENDING = "trending", _("Trending")
    RATING = "rating", _("Best rated")
    PRICE = "price", _("Lowest price")
    SPEED = "speed", _("Fastest")
    NEWEST = "newest", _("Newest")


@dataclass(frozen=True, slots=True)
class Order:
    """``expression`` is SQL on discovery_listingindex and ``value`` the same in Python; None is last. Ties go by quality."""

    expression: str
    value: Callable[[ListingIndex], float | None]


ORDERS: dict[str, Order] = {
    Sort.RELEVANCE: Order("quality", lambda row: row.quality),
    Sort.TRENDING: Order("trending", lambda row: row.trending),
    Sort.RATING: Order("rating", lambda row: row.rating),
    Sort.PRICE: Order("-price_nano::float8", lambda row: None if row.price_nano is None else -float(row.price_nano)),
    Sort.SPEED: Order("tokens_per_s_1", lambda row: row.tokens_per_s_1),
    Sort.NEWEST: Order("extract(epoch FROM published_at)::float8", lambda row: row.published_at.timestamp()),
}


def sort_of(value: Any) -> Sort:
    """The sort of this name; relevance for any other."""
    return Sort(value) if value in Sort.values else Sort.RELEVANCE
