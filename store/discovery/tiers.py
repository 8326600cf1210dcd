"""Tiers of the index, drawn where they are missing, and anew where they have grown or shrunk (see ``models.Tier``)."""

from __future__ import annotations

import math

from django.db import transaction

from store.discovery.actions import lock_index
from store.discovery.keys import any_of
from store.discovery.models import ListingIndex, Tier
from store.discovery.sorts import ORDERS
from store.ledger.sql import array, execute

SIZES = (2_000, 6_000, 18_000, 54_000, 160_000)  # listings of each level: see passes.ENOUGH
SLACK = 2  # a tier is drawn anew when it is this many times too large or too small; a store below it needs no tier
KEYED_AT_ONCE = 500  # rows that get or lose a tier's keys in one transaction


def retier(sizes: tuple[int, ...] = SIZES) -> int:
    """Looks at every tier, and returns how many it has drawn. Searches go on meanwhile, on the old ones."""
    for killed in Tier.objects.filter(is_ready=False):
        _drop(killed)
    listings = ListingIndex.objects.count()
    drawn = 0
    for sort in ORDERS:
        for tier in Tier.objects.filter(sort=sort, level__gte=len(sizes)):
            _drop(tier)
        for level, size in enumerate(sizes):
            old = Tier.objects.filter(sort=sort, level=level).first()
            is_large = listings >= SLACK * size
            if old and is_large and _fits(old, size):
                continue
            if is_large:
                _draw(sort, level, size)
                drawn += 1
            if old:
                _drop(old)
    return drawn


def _fits(tier: Tier, size: int) -> bool:
    """A tier of all that have a number is never too small."""
    rows = execute("SELECT count(*) FROM discovery_listingindex WHERE keys @@ %s::tsquery", any_of([f"#{tier.pk}"]))
    return bool(rows[0][0] <= size * SLACK and (rows[0][0] >= size / SLACK or math.isinf(tier.threshold)))


def _draw(sort: str, level: int, size: int) -> None:
    """A tier of the ``size`` best; of all that have what it sorts by, where those are fewer."""
    value = ORDERS[sort].expression
    found = execute(
        f"""SELECT {value} AS value, quality FROM discovery_listingindex WHERE {value} IS NOT NULL
            ORDER BY value DESC, quality DESC OFFSET %s LIMIT 1""",
        size,
    )
    threshold, threshold_quality = found[0] if found else (-math.inf, -math.inf)
    with transaction.atomic():
        lock_index()  # whoever writes a row after this sees the tier, and gives the row its keys
        tier = Tier.objects.create(sort=sort, level=level, threshold=threshold, threshold_quality=threshold_quality)
    above = execute(
        f"SELECT listing_id FROM discovery_listingindex WHERE ({value}, quality) > (%s, %s)",
        tier.threshold, tier.threshold_quality,
    )  # fmt: skip
    for start in range(0, len(above), KEYED_AT_ONCE):
        _give_keys(tier, [row[0] for row in above[start : start + KEYED_AT_ONCE]])
    Tier.objects.filter(pk=tier.pk).update(is_ready=True)


@transaction.atomic
def _give_keys(tier: Tier, listing_ids: list[int]) -> None:
    """A row that was written meanwhile and is not above the threshold any more gets none."""
    lock_index()
    execute(
        f"""UPDATE discovery_listingindex SET keys = keys || array_to_tsvector(ARRAY[%s]),
                tiered = coalesce(tiered, '') || array_to_tsvector(ARRAY(
                    SELECT %s || '=' || facet FROM unnest(facets) AS facet
                    UNION SELECT %s || key FROM unnest(tsvector_to_array(keys)) AS key WHERE starts_with(key, '^')))
            WHERE listing_id = ANY(%s::bigint[]) AND ({ORDERS[tier.sort].expression}, quality) > (%s, %s)""",
        *[f"#{tier.pk}"] * 3,
        array(listing_ids),
        tier.threshold,
        tier.threshold_quality,
    )  # fmt: skip


def _drop(tier: Tier) -> None:
    """The tier, and then its keys: a search that still knows it finds what it can."""
    tier_key = f"#{tier.pk}"
    with transaction.atomic():
        lock_index()  # whoever writes a row after this gives it no key of the tier
        tier.delete()
    keyed = execute("SELECT listing_id FROM discovery_listingindex WHERE keys @@ %s::tsquery", any_of([tier_key]))
    for start in range(0, len(keyed), KEYED_AT_ONCE):
        _take_keys(tier_key, [row[0] for row in keyed[start : start + KEYED_AT_ONCE]])


@transaction.atomic
def _take_keys(tier_key: str, listing_ids: list[int]) -> None:
    lock_index()
    execute(
        """UPDATE discovery_listingindex SET keys = ts_delete(keys, %s),
               tiered = nullif(ts_delete(tiered, ARRAY(
                   SELECT key FROM unnest(tsvector_to_array(tiered)) AS key WHERE key ~ %s)), '')
           WHERE listing_id = ANY(%s::bigint[])""",
        tier_key,
        f"^{tier_key}[=^]",
        array(listing_ids),
    )
