"""The categories of the storefront, and what each ranking goes by."""

from __future__ import annotations

from typing import NamedTuple

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from store.catalog.categories import CATEGORIES
from store.discovery.models import FacetCount
from store.discovery.rankings import Ranking

EXPLANATIONS = {
    Ranking.TRENDING: _(
        "By who comes back: organizations that paid for calls on several days of late. Many calls of one customer count little."
    ),
    Ranking.RATING: _("By the stars of those who paid for calls."),
    Ranking.FASTEST: _("By output tokens per second of a single call, as the store measured them."),
    Ranking.CHEAPEST: _("By the price of a million tokens of typical use: three read for one written."),
    Ranking.NEWEST: _("By the day on which they were published."),
}


class Door(NamedTuple):
    """A category, and how many public listings it has."""

    slug: str
    label: str | Promise
    icon: str
    listings: int


def doors() -> list[Door]:
    """The categories that have listings, in the order of the house."""
    counts = dict(FacetCount.objects.filter(facet="category", listings__gt=0).values_list("value", "listings"))
    return [Door(slug, each.label, each.icon, counts[slug]) for slug, each in CATEGORIES.items() if slug in counts]
