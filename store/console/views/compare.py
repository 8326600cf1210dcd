"""Models side by side."""

from __future__ import annotations

from typing import NamedTuple

from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.urls import reverse

from store.catalog.models import Listing
from store.console.comparison import MOST_COMPARED, bare_name, compared, comparison, proposals
from store.console.pages import page
from store.discovery.models import ListingIndex


class Step(NamedTuple):
    """A listing, and where one gets by adding or removing it."""

    listing: Listing | ListingIndex
    address: str


@page
def compare(request: HttpRequest) -> HttpResponse:
    """The state is the address: ``m`` for each listing's full name. What is not there, or not for the visitor, is named."""
    names = [name for name in request.GET.getlist("m") if name.strip()]
    listings = compared(request.user, names)
    chosen = [listing.name for listing in listings]
    shown = {
        "listings": listings,
        "columns": [Step(each, _address([name for name in chosen if name != each.name])) for each in listings],
        "groups": comparison(listings),
        "missing": [name for name in names if bare_name(name) not in chosen][:MOST_COMPARED],
        "has_room": len(listings) < MOST_COMPARED,
        "suggestions": [Step(each, _address([*chosen, each.name])) for each in proposals(listings)],
    }
    return render(request, "console/compare.html", shown)


def _address(names: list[str]) -> str:
    query = QueryDict(mutable=True)
    query.setlist("m", names)
    return f"{reverse('console:compare')}?{query.urlencode(safe='/')}"
