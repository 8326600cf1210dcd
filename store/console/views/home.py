"""The front door."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from store.console.pages import page
from store.console.receipt import example_receipt
from store.console.shelf import shelf
from store.console.snippets import snippets

FEATURED = 6
NO_MODEL = "organization/model"  # what the snippets name while the store is empty


@page
def home(request: HttpRequest) -> HttpResponse:
    """What the store is, its newest models, and how to call one."""
    featured = list(shelf(request.user)[:FEATURED])
    first = featured[0] if featured else None
    shown = {
        "featured": featured,
        "receipt": example_receipt(first) if first else None,
        "snippets": snippets(first.name if first else NO_MODEL),
    }
    return render(request, "console/home.html", shown)
