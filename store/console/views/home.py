"""The front door."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from store.catalog.models import Listing
from store.console.doors import doors
from store.console.pages import page
from store.console.receipt import example_receipt
from store.console.snippets import snippets
from store.discovery.rankings import Ranking, rankings

ON_A_SHELF = 5
NO_MODEL = "organization/model"  # what the snippets name while the store is empty


@page
def home(request: HttpRequest) -> HttpResponse:
    """What the store is, what is used and what is new in it, and how to call a model."""
    newest = rankings(Ranking.NEWEST, limit=ON_A_SHELF)
    trending = rankings(Ranking.TRENDING, limit=ON_A_SHELF)
    first = next(iter([*trending, *newest]), None)
    featured = (
        Listing.objects.select_related("organization", "current_release").filter(pk=first.pk if first else 0).first()
    )
    shown = {
        "doors": doors(),
        "trending": trending,
        "newest": newest,
        "receipt": example_receipt(featured) if featured else None,
        "snippets": snippets(featured.name if featured else NO_MODEL),
    }
    return render(request, "console/home.html", shown)
