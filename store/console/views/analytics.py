"""How a provider's models are used, and what they bring."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from store.accounts.models import Organization
from store.catalog.models import Listing
from store.console.insight import Insight, Span, by_listing, insight, royalties
from store.console.managed import ManagedRequest, managed_page, show
from store.console.pages import MemberRequest, console_page
from store.reputation.analytics import analytics_csv


@managed_page
def of_listing(request: ManagedRequest, listing: Listing) -> HttpResponse:
    """One model's calls, tokens, earnings, latency and errors."""
    found = insight(listing.organization, span=_span(request), listing=listing)
    return show(request, listing, "manage/analytics.html", {"insight": found, "spans": Span})


@managed_page
def listing_csv(request: ManagedRequest, listing: Listing) -> HttpResponse:
    """The same by the hour or day, for a spreadsheet."""
    return _csv(insight(listing.organization, span=_span(request), listing=listing), listing.slug)


@console_page
def of_organization(request: MemberRequest, organization: Organization) -> HttpResponse:
    """All models together, and each beside the others."""
    span = _span(request)
    earned = royalties(organization, span=span)
    shown = {
        "insight": insight(organization, span=span),
        "listings": by_listing(organization, span=span),
        "royalties": earned,
        "royalties_nano": sum(row.royalty_nano for row in earned),
        "spans": Span,
    }
    return render(request, "console/analytics.html", shown)


@console_page
def organization_csv(request: MemberRequest, organization: Organization) -> HttpResponse:
    """All models together by the hour or day, for a spreadsheet."""
    return _csv(insight(organization, span=_span(request)), organization.slug)


def _span(request: HttpRequest) -> Span:
    said = request.GET.get("span", "")
    return Span(said) if said in Span.values else Span.MONTH


def _csv(found: Insight, name: str) -> HttpResponse:
    response = HttpResponse("".join(analytics_csv(found.rows)), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{name}-{found.span.value}.csv"'
    return response
