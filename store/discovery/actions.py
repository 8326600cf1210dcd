"""What is done to the index: rows made again, counts folded in, tiers drawn anew.

One transaction at a time does it (an advisory lock), so no row is ever overwritten with what was read before somebody else's newer
reading. A refresh also shares the lock of each listing that it reads: a listing that is being hidden at this moment is waited for, or
left to the change that hiding it will have written.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from store.catalog.models import Listing
from store.discovery.models import Change, FacetCount, FacetDelta, ListingIndex, Standing
from store.discovery.reading import read_rows
from store.discovery.writing import write_rows
from store.ledger.sql import array, execute

LOCK = 7_205_759_403  # of the index, among the database's advisory locks
BATCH = 200  # listings of one transaction
LAZILY = 50  # urgent changes that a search makes good before it looks


def refresh(listing_ids: Iterable[int]) -> None:
    """Makes the rows of these listings again; those that are not public have none. Waits for verbs that hold them."""
    waiting = sorted(set(listing_ids))
    for start in range(0, len(waiting), BATCH):
        with transaction.atomic():
            lock_index()
            listings = Listing.objects.select_for_update(of=("self",), no_key=True)
            _make_again(listings.filter(pk__in=waiting[start : start + BATCH]))
            _fold()


def drain_urgent() -> None:
    """What a search does before it looks: makes good the few newest changes that somebody waits for, unless another is at it."""
    is_due = "SELECT EXISTS (SELECT FROM discovery_change WHERE is_urgent) OR EXISTS (SELECT FROM discovery_facetdelta)"
    if not execute(is_due)[0][0]:
        return
    urgent = Change.objects.filter(is_urgent=True)
    with transaction.atomic():
        if _try_lock():
            _drain(urgent.order_by("-id")[:LAZILY])
            _fold()


def refresh_stale() -> int:
    """Makes good every change, and every row whose scheduled price has started. Returns how many rows were looked at."""
    due = list(ListingIndex.objects.filter(stale_at__lte=timezone.now()).values_list("pk", flat=True))
    refresh(due)
    total = len(due)
    while done := _drain_batch():
        total += done
    return total


def rebuild() -> int:
    """Makes every row again, and the counts of facets from them: after a change of what is indexed. Returns the number of rows."""
    public = Listing.objects.public().values_list("pk", flat=True)
    refresh({*public, *ListingIndex.objects.values_list("pk", flat=True)})
    recount_facets()
    return ListingIndex.objects.count()


@transaction.atomic
def recount_facets() -> None:
    """Counts every facet from the rows."""
    lock_index()
    FacetDelta.objects.all().delete()
    FacetCount.objects.all().delete()
    execute(
        """INSERT INTO discovery_facetcount (facet, value, listings)
           SELECT split_part(one, ':', 1), substr(one, strpos(one, ':') + 1), count(*)
           FROM discovery_listingindex, unnest(facets) AS one GROUP BY one"""
    )


def lock_standing(listing_id: int) -> None:
    """Makes the listing's standing, if it has none, and holds it until the transaction ends."""
    execute(
        "INSERT INTO discovery_standing (listing_id, rating, rating_count, trending, calls_30d) VALUES (%s, 0, 0, 0, 0) ON CONFLICT DO NOTHING",
        listing_id,
    )
    execute("SELECT FROM discovery_standing WHERE listing_id = %s FOR UPDATE", listing_id)


def record_rating(*, listing_id: int, rating: float, count: int) -> None:
    """Writes what customers say of a listing; see :func:`lock_standing`."""
    Standing.objects.filter(pk=listing_id).update(rating=rating, rating_count=count, updated_at=timezone.now())


@dataclass(frozen=True, kw_only=True, slots=True)
class Use:
    """What calls say of a listing. ``uptime`` is of the last 30 days, 0 to 1."""

    listing_id: int
    trending: float
    uptime: float | None
    calls_30d: int


@transaction.atomic
def record_use(uses: Sequence[Use]) -> None:
    """Writes what calls say of these listings; a trigger tells the index of those that differ from before."""
    execute(
        """INSERT INTO discovery_standing AS s (listing_id, trending, uptime, calls_30d, rating, rating_count)
           SELECT *, 0, 0 FROM unnest(%s::bigint[], %s::float8[], %s::float8[], %s::bigint[])
           ON CONFLICT (listing_id) DO UPDATE SET trending = EXCLUDED.trending, uptime = EXCLUDED.uptime,
               calls_30d = EXCLUDED.calls_30d, updated_at = now()
           WHERE (s.trending, s.uptime, s.calls_30d) IS DISTINCT FROM (EXCLUDED.trending, EXCLUDED.uptime, EXCLUDED.calls_30d)""",
        array([use.listing_id for use in uses]),
        array([use.trending for use in uses]),
        array([use.uptime for use in uses]),
        array([use.calls_30d for use in uses]),
    )


@transaction.atomic
def _drain_batch() -> int:
    lock_index()
    done = _drain(Change.objects.order_by("id")[:BATCH])
    _fold()
    return done


def _drain(changes: QuerySet[Change]) -> int:
    """Makes good every change of the listings of these changes. A listing that a verb holds now is left: its lock may last."""
    wanted = set(changes.values_list("listing_id", flat=True))
    if not wanted:
        return 0
    free = Listing.objects.select_for_update(of=("self",), no_key=True, skip_locked=True).filter(pk__in=wanted)
    listing_ids = _make_again(free)
    return len(listing_ids)


def _make_again(listings: QuerySet[Listing]) -> list[int]:
    """Takes the lock of the listings, forgets the changes that are known by then, and reads after that: none is lost."""
    listing_ids = list(listings.order_by("pk").values_list("pk", flat=True))
    Change.objects.filter(listing_id__in=listing_ids).delete()
    readings = read_rows(listing_ids)
    public = {reading.row.pk for reading in readings}
    ListingIndex.objects.filter(pk__in=set(listing_ids) - public).delete()
    if readings:
        write_rows(readings)
    return listing_ids


def _fold() -> None:
    """Adds the changes of facets' counts to the counts."""
    execute(
        """WITH changed AS (DELETE FROM discovery_facetdelta RETURNING facet, value, delta)
           INSERT INTO discovery_facetcount AS c (facet, value, listings)
           SELECT facet, value, sum(delta) FROM changed GROUP BY facet, value
           ON CONFLICT (facet, value) DO UPDATE SET listings = c.listings + EXCLUDED.listings"""
    )
    execute("DELETE FROM discovery_facetcount WHERE listings = 0")


def lock_index() -> None:
    execute("SELECT pg_advisory_xact_lock(%s)", LOCK)


def _try_lock() -> bool:
    return bool(execute("SELECT pg_try_advisory_xact_lock(%s)", LOCK)[0][0])
