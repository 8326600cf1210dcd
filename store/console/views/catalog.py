"""The catalog."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.cache import patch_vary_headers

from store.console.catalog import shown_search
from store.console.pages import page


@page
def models(request: HttpRequest) -> HttpResponse:
    """All public models, searched. htmx asks for the search alone."""
    search = shown_search(dict(request.GET.lists()))
    is_part: bool = bool(request.htmx)  # type: ignore[attr-defined]
    response = render(request, "console/_search.html" if is_part else "console/models.html", {"search": search})
    if is_part:
        response["HX-Push-Url"] = search.address
    patch_vary_headers(response, ["HX-Request"])
    return response
