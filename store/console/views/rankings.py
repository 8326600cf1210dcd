"""Rankings, and the page of each category."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import urlencode

from store.catalog.categories import CATEGORIES
from store.console.doors import EXPLANATIONS, doors
from store.console.pages import page
from store.discovery.rankings import Ranking
from store.discovery.rankings import rankings as ranked

RANKED = 50
ON_A_SHELF = 5
SHELVES = (Ranking.TRENDING, Ranking.RATING, Ranking.NEWEST)  # of a category with more than one shelf holds


@page
def rankings(request: HttpRequest, kind: str = Ranking.TRENDING) -> HttpResponse:
    """One kind at a time; an unknown category is as none."""
    if kind not in Ranking.values:
        raise Http404
    wanted = request.GET.get("category", "")
    category = wanted if wanted in CATEGORIES else ""
    query = f"?{urlencode({'category': category})}" if category else ""
    shown = {
        "kind": kind,
        "explanation": EXPLANATIONS[Ranking(kind)],
        "kinds": [(each, reverse("console:ranking", args=[each]) + query) for each in Ranking],
        "category": category,
        "categories": CATEGORIES.values(),
        "rows": ranked(kind, category, limit=RANKED),
    }
    return render(request, "console/rankings.html", shown)


@page
def category(request: HttpRequest, slug: str) -> HttpResponse:
    """What a category has: a few of each ranking, and a search in it."""
    if slug not in CATEGORIES:
        raise Http404
    every = doors()
    total = next((door.listings for door in every if door.slug == slug), 0)
    shelves = SHELVES if total > ON_A_SHELF else SHELVES[-1:]
    shown = {
        "category": CATEGORIES[slug],
        "total": total,
        "shelves": [(kind, ranked(kind, slug, limit=ON_A_SHELF)) for kind in shelves],
        "doors": [door for door in every if door.slug != slug],
    }
    return render(request, "console/category.html", shown)
