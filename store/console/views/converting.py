"""A pickle of weights becomes safetensors on a worker: asked for in the browser, and watched there."""

from __future__ import annotations

from contextlib import suppress

from django.http import HttpResponse, JsonResponse
from django.views.decorators.http import require_POST

from store.catalog.models import Listing
from store.console.arrivals import arrivals_in
from store.console.converting import base_named, convert, discard, look_to_convert, retry_with, shown_conversion
from store.console.managed import ManagedRequest, answers_json, json_of, managed_page, show
from store.errors import NotFound, StoreError
from store.uploads.conversions import cancel_conversion

STATE = "_conversion.html"


@managed_page
def state(request: ManagedRequest, listing: Listing) -> HttpResponse:
    """How far it is; asks again by itself while it runs."""
    return show(request, listing, STATE, shown_conversion(listing))


@require_POST
@managed_page
@answers_json
def look(request: ManagedRequest, listing: Listing) -> HttpResponse:
    """Before a byte is sent: is the base one, and may the file come?"""
    base_named(listing, request.user, request.GET.get("base", ""))
    return JsonResponse({"files": look_to_convert(listing, arrivals_in(json_of(request)))})


@require_POST
@managed_page
@answers_json
def start(request: ManagedRequest, listing: Listing) -> HttpResponse:
    """The file has arrived."""
    said = json_of(request)
    made = convert(
        listing=listing, user=request.user, sha256=str(said.get("sha256", "")), base=str(said.get("base", ""))
    )
    return JsonResponse({"id": made.pk, "status": made.status}, status=201)


@require_POST
@managed_page
def retry(request: ManagedRequest, listing: Listing) -> HttpResponse:
    """The same file, on another base."""
    form = retry_with(request.POST)
    try:
        if form.is_valid():
            convert(listing=listing, user=request.user, sha256=request.POST.get("sha256", ""), **form.cleaned_data)
    except StoreError as error:
        form.add_error("base", error.message)
    shown = shown_conversion(listing, form if form.errors else None)
    return show(request, listing, STATE, shown, status=422 if form.errors else 200)


@require_POST
@managed_page
def cancel(request: ManagedRequest, listing: Listing) -> HttpResponse:
    """The one that is under way; one that has ended meanwhile is shown as it ended."""
    with suppress(NotFound):
        cancel_conversion(listing=listing, user=request.user)
    return show(request, listing, STATE, shown_conversion(listing))


@require_POST
@managed_page
def throw_away(request: ManagedRequest, listing: Listing) -> HttpResponse:
    """The file of a conversion that failed."""
    discard(listing=listing, sha256=request.POST.get("sha256", ""))
    return show(request, listing, STATE, shown_conversion(listing))
