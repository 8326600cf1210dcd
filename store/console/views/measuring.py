"""How the numbers of a listing come about."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from store.console.pages import page


@page
def measuring(request: HttpRequest) -> HttpResponse:
    """A text, linked from wherever a measured number is shown."""
    return render(request, "console/measuring.html")
