"""Finding listings: words, facets and ranges, in the order asked for, with what could be chosen next.

**How it stays fast with a million listings.** A query becomes tsqueries over ``ListingIndex.keys``, where words, facets and tiers
intersect inside the index. A query with few matches is answered from all of them. One with many is asked of the best 2,000 listings of its
order first, then of the best 6,000, and so on (``models.Tier``), until there are ENOUGH matches: the best of a tier are the best of
all, so the page is exact, and no pass visits more than a few thousand rows. A tier has an index of its own (``ListingIndex.tiered``),
where nothing but the tier is looked at. With words, those in headings are sought before those in cards.

**What is counted.** The counts of the whole store are kept (``FacetCount``). Those of a query are counted over its matches, or, where
there are more than SAMPLE of them, over some of these: then they are lower bounds, and ``is_exact`` is False ("200+"; "60+" where
only the widest tier had as many).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from store.discovery.actions import drain_urgent
from store.discovery.facets import ALL, FACETS, FacetKind
from store.discovery.models import FacetCount, ListingIndex
from store.discovery.passes import Found, Ground, planned, run, survey
from store.discovery.query import MAX_OFFSET, SearchQuery
from store.discovery.request import Request, as_indexed, request_of
from store.discovery.sorts import Sort
from store.discovery.terms import Term, corrected, terms_of
from store.ledger.sql import execute, text_array

SHOWN_CHOICES = 30  # of one facet; those that are chosen besides
FEW = 5  # matches below which a word that nobody uses may have been mistyped


@dataclass(frozen=True, slots=True)
class Choice:
    """A value of a facet: how many listings the query would find with it instead of what is chosen of this facet."""

    value: str
    label: Any
    count: int
    chosen: bool


@dataclass(frozen=True, slots=True)
class Facet:
    """``name`` is the parameter of an address. ``is_exact`` False: counts are lower bounds."""

    name: str
    label: Any
    choices: list[Choice]
    is_exact: bool = True


@dataclass(frozen=True, slots=True)
class SearchPage:
    """``total_is_exact`` False: there are more than ``total``. ``next_cursor`` is None on the last page that can be had."""

    items: list[ListingIndex]
    total: int
    total_is_exact: bool
    facets: list[Facet] = field(default_factory=list)
    next_cursor: str | None = None
    corrected: str = ""  # the words that were searched for instead, where some were mistyped


def search(query: SearchQuery, *, with_facets: bool = True) -> SearchPage:
    """The public listings that match, in order, and what could be chosen next. Never raises for what ``read_query`` returns."""
    drain_urgent()
    terms = terms_of(query.text)
    if query.text and not terms:
        return SearchPage(items=[], total=0, total_is_exact=True)  # punctuation and emoji: nothing is called that
    with planned():
        return _search(query, terms, with_facets)


def _search(query: SearchQuery, terms: list[Term], with_facets: bool) -> SearchPage:
    request = request_of(query, terms)
    ground = survey(request.ranges)
    found = _run(request, ground, query, with_facets)
    corrections = corrected(terms) if terms and found.total < FEW else None
    if corrections:
        request = replace(request, terms=tuple(corrections))
        found = _run(request, ground, query, with_facets)
    total, is_exact = _total(request, query, found)
    after = query.offset + query.per_page
    return SearchPage(
        items=rows_of(found.listing_ids),
        total=total,
        total_is_exact=is_exact,
        facets=_facets(request, ground, query, found) if with_facets else [],
        next_cursor=str(after) if after < min(found.total, MAX_OFFSET) else None,
        corrected=" ".join(term.corrected[0] if term.corrected else term.word for term in corrections or ()),
    )


def rows_of(listing_ids: Sequence[int]) -> list[ListingIndex]:
    """These rows, in this order."""
    rows = ListingIndex.objects.defer("keys", "tiered", "heading", "facets").in_bulk(listing_ids)
    return [rows[listing_id] for listing_id in listing_ids if listing_id in rows]


def _run(request: Request, ground: Ground, query: SearchQuery, with_facets: bool) -> Found:
    """Counts what no choice has been made of; the counts of everything are kept."""
    counted = [name for name in FACETS if name not in request.chosen and name not in request.ranges]
    counts_needed = with_facets and not request.is_everything
    return run(request, ground, limit=query.per_page, offset=query.offset, counted=counted if counts_needed else ())


def _total(request: Request, query: SearchQuery, found: Found) -> tuple[int, bool]:
    """How many match, and whether these are all. Of everything, and of one value of one facet, the number is kept."""
    if found.is_exact:
        return found.total, True
    chosen = [(facet, as_indexed(facet, value)) for facet in request.chosen for value in query.chosen[facet]]
    if request.terms or request.ranges or len(chosen) > 1:
        return found.total, False
    facet, value = chosen[0] if chosen else (ALL, "")
    kept = FacetCount.objects.filter(facet=facet, value=value).values_list("listings", flat=True).first()
    return (kept, True) if kept else (found.total, False)


def _facets(request: Request, ground: Ground, query: SearchQuery, found: Found) -> list[Facet]:
    facets: list[Facet] = []
    counts: Mapping[str, int]
    narrowed = {*request.chosen, *request.ranges}
    kept = _kept_counts() if len(narrowed) < 2 and not request.terms else {}
    for name, kind in FACETS.items():
        others = request.without(name)
        if others.is_everything:
            counts, is_exact = kept.get(name, {}), True
        else:
            by_quality = replace(others, sort=Sort.RELEVANCE)
            of = run(by_quality, ground, limit=0, counted=[name]) if name in narrowed else found
            counts, is_exact = of.counts.get(name, {}), of.counts_all
        choices = _choices(kind, counts, query.chosen.get(name, ()))
        if choices:
            facets.append(Facet(name, kind.label, choices, is_exact))
    return facets


def _choices(kind: FacetKind, counts: Mapping[str, int], chosen: Iterable[str]) -> list[Choice]:
    """The most frequent first; buckets in their own order. What is chosen is always among them."""
    chosen = {as_indexed(kind.name, value) for value in chosen}
    if kind.buckets:
        values = [bucket.slug for bucket in kind.buckets if bucket.slug in counts or bucket.slug in chosen]
    else:
        frequent = sorted(counts, key=lambda value: (-counts[value], value))[:SHOWN_CHOICES]
        values = [*frequent, *sorted(chosen - set(frequent))]
    return [Choice(value, kind.label_of(value), counts.get(value, 0), value in chosen) for value in values]


def _kept_counts() -> dict[str, dict[str, int]]:
    """Of the whole store: the most frequent values of each facet."""
    rows = execute(
        """SELECT f.facet, c.value, c.listings FROM unnest(%s::text[]) AS f(facet), LATERAL (
               SELECT value, listings FROM discovery_facetcount WHERE facet = f.facet ORDER BY listings DESC, value LIMIT %s) AS c""",
        text_array(FACETS),
        SHOWN_CHOICES,
    )
    counts: dict[str, dict[str, int]] = {}
    for facet, value, listings in rows:
        counts.setdefault(facet, {})[value] = listings
    return counts
