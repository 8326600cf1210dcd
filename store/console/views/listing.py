"""A model's own page."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render

from store.catalog.models import CALLABLE, Listing, Price
from store.console.card import card_html
from store.console.pages import page
from store.console.shelf import priced
from store.console.snippets import snippets


@page
def listing(request: HttpRequest, organization: str, slug: str) -> HttpResponse:
    """Card, price, facts, playground. A listing that the visitor may not see is as one that does not exist."""
    visible = Listing.objects.visible_to(request.user).named(f"{organization}/{slug}")
    found = get_object_or_404(priced(visible).select_related("organization__provider"))
    release = found.current_release
    shown = {
        "listing": found,
        "release": release,
        "price": Price.objects.current().filter(listing=found).first(),
        "card": card_html(release.card) if release else "",
        "is_callable": found.status in CALLABLE and release is not None,
        "snippets": snippets(found.name),
    }
    return render(request, "console/listing.html", shown)
