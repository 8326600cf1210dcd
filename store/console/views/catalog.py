"""The catalog."""

from __future__ import annotations

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.cache import patch_vary_headers

from store.console.forms.catalog import CatalogFilter
from store.console.pages import page
from store.console.shelf import PER_PAGE, choices, shelf


@page
def models(request: HttpRequest) -> HttpResponse:
    """All models, filtered. htmx asks for the list alone."""
    form = CatalogFilter(request.GET)
    chosen = form.chosen()
    found = Paginator(shelf(request.user, **chosen), PER_PAGE).get_page(request.GET.get("page"))
    shown = {"form": form, "chosen": chosen, "found": found, **choices(request.user)}
    template = "console/_shelf.html" if request.htmx else "console/models.html"  # type: ignore[attr-defined]
    response = render(request, template, shown)
    patch_vary_headers(response, ["HX-Request"])
    return response
