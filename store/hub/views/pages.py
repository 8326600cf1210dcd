"""Addresses of the Hub's pages, which clients print: here a model has one page."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.views.decorators.http import require_safe


@require_safe
def of_listing(request: HttpRequest, repo: str) -> HttpResponse:
    return HttpResponseRedirect(f"/{repo}")
