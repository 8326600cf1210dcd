"""What stands near a listing: models like it, what it was made from, what was made from it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import AnonymousUser
from django.db.models import Q, QuerySet

from store.catalog.models import Listing
from store.discovery.keys import all_of, any_of
from store.discovery.models import ListingIndex, Tier
from store.discovery.passes import ENOUGH, VISITED
from store.discovery.search import rows_of
from store.discovery.sorts import Sort
from store.discovery.words import asked, stems
from store.ledger.sql import array, execute, text_array

SIMILAR = 6
SHARED_WORDS = 20  # of title and summary that are compared
DEPTH = 6  # generations, up and down
DESCENDANTS = 100
# What two listings share, by how much it says about them: the score is the sum over the facets, and the rank of their words.
SHARED_WEIGHTS = {
    "base": 3.0,
    "tag": 2.0,
    "category": 1.0,
    "language": 0.5,
    "task": 0.5,
    "architecture": 0.3,
    "size": 0.2,
}
TELLING = ("base", "tag", "category")  # one of these must be shared
WORDS_WEIGHT = 5.0


def similar_to(listing: Listing, *, limit: int = SIMILAR) -> list[ListingIndex]:
    """Public listings that share base, tags or category with this public one or are made from it, most in common first."""
    own = ListingIndex.objects.filter(pk=listing.pk).first()
    if own is None:
        return []
    shared = [facet for facet in own.facets if _kind(facet) in SHARED_WEIGHTS]
    telling = [facet for facet in shared if _kind(facet) in TELLING] or shared
    near = any_of([*(f"={facet}" for facet in telling), f"=base:{own.name}"])
    rows: list[tuple[int, int]] = []
    for tsquery in _tiered(near):
        rows = execute(
            RANKED,
            _heading_words(own),
            tsquery,
            listing.pk,
            text_array(shared),
            array(SHARED_WEIGHTS[_kind(facet)] for facet in shared),
            limit,
        )
        if rows and rows[0][1] >= ENOUGH:
            break
    return rows_of([listing_id for listing_id, _total in rows])


def _kind(facet: str) -> str:
    return facet.partition(":")[0]


def _tiered(query: str) -> Iterator[str]:
    """The query asked of the best listings, then of more, and last of all."""
    for tier in Tier.objects.filter(sort=Sort.RELEVANCE, is_ready=True).order_by("level"):
        yield all_of([query, any_of([f"#{tier.pk}"])])
    yield query


def _heading_words(row: ListingIndex) -> str:
    """A tsquery of the words of title and summary; one that matches nothing where there are none."""
    words = asked(f"{row.title} {row.summary}")[:SHARED_WORDS]
    stem_of = stems(words)
    return any_of([stem for word in words if (stem := stem_of.get(word, word))] or ["="])


RANKED = f"""
WITH found AS MATERIALIZED (
    SELECT listing_id, quality, facets, ts_rank(heading, %s::tsquery) AS words FROM discovery_listingindex
    WHERE keys @@ %s::tsquery AND listing_id <> %s LIMIT {VISITED}),
scored AS (
    SELECT listing_id, (SELECT count(*) FROM found) AS total, quality, words * {WORDS_WEIGHT} + coalesce((
        SELECT sum(s.weight) FROM unnest(%s::text[], %s::float8[]) AS s(facet, weight) WHERE s.facet = ANY(facets)), 0) AS score
    FROM found)
SELECT listing_id, total FROM scored ORDER BY score DESC, quality DESC, listing_id LIMIT %s
"""


@dataclass(frozen=True, slots=True)
class Lineage:
    """``ancestors``: what it was made from, the nearest first. ``descendants``: what was made from it, (generation, listing), nearest first.

    ``has_more``: there are descendants besides these.
    """

    ancestors: list[Listing]
    descendants: list[tuple[int, Listing]]
    has_more: bool


def lineage(listing: Listing, *, user: Any = None) -> Lineage:
    """The family of a listing as ``user`` (None: everybody) may see it. The line ends at what they may not."""
    visible = Listing.objects.visible_to(user or AnonymousUser()).select_related(
        "organization", "current_release__base"
    )
    seen = {listing.pk}
    ancestors: list[Listing] = []
    last = listing
    while len(ancestors) < DEPTH and (above := _base_of(visible, last)) and above.pk not in seen:
        seen.add(above.pk)
        ancestors.append(above)
        last = above
    descendants: list[tuple[int, Listing]] = []
    parents = [listing.pk]
    for generation in range(1, DEPTH + 1):
        room = DESCENDANTS + 1 - len(descendants)
        made = Q(base__in=parents) | Q(current_release__base__listing__in=parents)
        children = list(visible.filter(made).exclude(pk__in=seen).order_by("-published_at", "pk").distinct()[:room])
        descendants += [(generation, child) for child in children]
        parents = [child.pk for child in children]
        seen.update(parents)
        if not parents or len(descendants) > DESCENDANTS:
            break
    return Lineage(ancestors, descendants[:DESCENDANTS], has_more=len(descendants) > DESCENDANTS)


def _base_of(visible: QuerySet[Listing], listing: Listing) -> Listing | None:
    """What its card says, or the listing whose release its adapter is served on."""
    release = listing.current_release
    base_id = listing.base_id or (release.base.listing_id if release and release.base else None)
    return visible.filter(pk=base_id).first() if base_id else None
