"""A provider's page."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render

from store.accounts.models import ProviderProfile
from store.console.pages import page
from store.discovery.query import SearchQuery
from store.discovery.rankings import provider_figures
from store.discovery.search import search


@page
def organization(request: HttpRequest, organization: str) -> HttpResponse:
    """Who sells, what they sell, and how it was received. An organization that is no provider has no page."""
    profile = get_object_or_404(ProviderProfile.objects.select_related("organization"), organization__slug=organization)
    shown = {
        "seller": profile.organization,
        "profile": profile,
        "figures": provider_figures(profile.organization),
        "rows": search(SearchQuery(chosen={"provider": [organization]}), with_facets=False).items,
    }
    return render(request, "console/organization.html", shown)
