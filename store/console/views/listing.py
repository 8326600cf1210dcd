"""A model's own page."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render

from store.catalog.categories import CATEGORIES
from store.catalog.models import CALLABLE, Listing, Release
from store.console.card import card_html
from store.console.family import family_of
from store.console.pages import page
from store.console.product import access_of, is_member, measurement_of, releases_of, terms_of
from store.console.reviewing import NEWEST_SHOWN, reviews_of, rights_of
from store.console.service import service_periods
from store.console.snippets import COMMIT_CHARS, downloads, snippets
from store.discovery.models import Standing
from store.discovery.related import similar_to
from store.reputation.models import Favourite
from store.subscriptions.actions.paying import can_be_called


@page
def listing(request: HttpRequest, organization: str, slug: str) -> HttpResponse:
    """Everything about a model. A listing that the visitor may not see is as one that does not exist."""
    visible = Listing.objects.visible_to(request.user).named(f"{organization}/{slug}")
    found = get_object_or_404(visible.select_related("organization__provider", "current_release"))
    release = found.current_release
    terms, rights = terms_of(found), rights_of(request.user, found)
    shown = {
        "listing": found,
        "release": release,
        "terms": terms,
        "plans": found.plans.offered() if can_be_called(found) else (),
        "category": CATEGORIES[found.category].label if found.category in CATEGORIES else "",
        "is_callable": found.status in CALLABLE and release is not None,
        "is_favourite": Favourite.objects.of(request.user).filter(listing=found).exists(),
        "standing": Standing.objects.filter(listing=found).first(),
        "reviews": reviews_of(request.user, found)[:NEWEST_SHOWN],
        "may_reply": rights.may_reply,
        "may_moderate": rights.may_moderate,
        **_of_release(request.user, found, release),
        "is_member": is_member(request.user, found),
        "lineage": family_of(found, request.user),
        "similar": similar_to(found),
    }
    return render(request, "console/listing.html", shown)


def _of_release(user: Any, listing: Listing, release: Release | None) -> dict[str, Any]:
    """What needs a release: card, numbers, files."""
    if release is None:
        return {}
    commit = release.digest.removeprefix("sha256:")[:COMMIT_CHARS]
    return {
        "card": card_html(release.card, model=listing.name, revision=commit),
        "measurement": measurement_of(release),
        "releases": releases_of(listing),
        "access": access_of(user, listing),
        "downloads": downloads(listing, release),
        "snippets": snippets(listing.name, task=release.task),
        "service": service_periods(listing),
    }
