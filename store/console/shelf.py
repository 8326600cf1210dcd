"""The storefront's shelf: listings with the price in force, searched, filtered, sorted."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models import Count, F, OuterRef, Q, Subquery
from django.utils.translation import gettext_lazy as _

from store.catalog.models import CALLABLE, Listing, ListingQuerySet, Price

PER_PAGE = 20
CHOICES_SHOWN = 30  # licences or tags to filter by


class Sort(models.TextChoices):
    NEWEST = "newest", _("Newest")
    CHEAPEST = "cheapest", _("Lowest output price")
    LARGEST = "largest", _("Most parameters")
    CONTEXT = "context", _("Longest context")
    NAME = "name", _("Name")


ORDER = {
    Sort.NEWEST: (F("published_at").desc(nulls_last=True), "-id"),
    Sort.CHEAPEST: (F("output_nano").asc(nulls_last=True), F("input_nano").asc(nulls_last=True), "id"),
    Sort.LARGEST: (F("current_release__parameters").desc(nulls_last=True), "id"),
    Sort.CONTEXT: (F("current_release__context_length").desc(nulls_last=True), "id"),
    Sort.NAME: ("organization__slug", "slug"),
}


def on_sale(user: Any) -> ListingQuerySet:
    """What the user may see and call."""
    return Listing.objects.visible_to(user).filter(status__in=CALLABLE, current_release__isnull=False)


def priced(listings: ListingQuerySet) -> ListingQuerySet:
    """With what a row shows: organization, release and the price in force as ``input_nano``, ``output_nano``, ``request_nano``."""
    current = Price.objects.current().filter(listing=OuterRef("pk"))
    prices = {name: Subquery(current.values(name)[:1]) for name in ("input_nano", "output_nano", "request_nano")}
    return listings.select_related("organization", "current_release").annotate(**prices)


def shelf(user: Any, *, q: str = "", licence: str = "", tag: str = "", sort: str = Sort.NEWEST) -> ListingQuerySet:
    """Callable listings that the user may see; every word of ``q`` must be in the name, the title, the summary or a tag."""
    found = on_sale(user)
    for word in q.split():
        found = found.filter(
            Q(slug__icontains=word)
            | Q(organization__slug__icontains=word)
            | Q(title__icontains=word)
            | Q(summary__icontains=word)
            | Q(tags__contains=[word.lower()])
        )
    if licence:
        found = found.filter(licence=licence)
    if tag:
        found = found.filter(tags__contains=[tag])
    return priced(found).order_by(*ORDER[Sort(sort)])


def choices(user: Any) -> dict[str, list[str]]:
    """The licences and tags that occur, the most frequent first."""
    found = on_sale(user)
    licences = found.values("licence").annotate(listings=Count("pk")).order_by("-listings", "licence")
    tags = found.annotate(tag=models.Func("tags", function="unnest")).values("tag").annotate(listings=Count("pk"))
    return {
        "licences": [row["licence"] for row in licences[:CHOICES_SHOWN]],
        "tags": [row["tag"] for row in tags.order_by("-listings", "tag")[:CHOICES_SHOWN]],
    }
