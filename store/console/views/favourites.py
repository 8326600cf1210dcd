"""What a person marked to find again."""

from __future__ import annotations

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST

from store.accounts.models import Organization
from store.catalog.models import Listing
from store.console.numbers import small_int
from store.console.pages import MemberRequest, console_page
from store.console.shelf import favourites_of
from store.reputation.actions import add_favourite, remove_favourite


@console_page
def favourites(request: MemberRequest, organization: Organization) -> HttpResponse:
    """Newest first; what cannot be called any more is left out."""
    before = small_int(request.GET.get("before"))
    rows, older = favourites_of(request.user, before=before)
    return render(request, "console/favourites.html", {"rows": rows, "older": older, "is_older": before is not None})


@require_POST
@console_page
def favourite(request: MemberRequest, owner: Organization, organization: str, slug: str) -> HttpResponse:
    """Marks or unmarks; doing it twice is doing it once."""
    listing = get_object_or_404(Listing.objects.visible_to(request.user).named(f"{organization}/{slug}"))
    verb = remove_favourite if request.POST.get("wanted") == "0" else add_favourite
    verb(listing=listing, user=request.user)
    return redirect("console:listing", organization, slug)
