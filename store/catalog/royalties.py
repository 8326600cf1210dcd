"""How the charge of a model is shared along its lineage, by the terms that its release was made under."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.conf import settings

from store.accounts.models import Organization
from store.catalog.models import Listing, Release
from store.ledger.shares import Owed, Plan
from store.ledger.sql import array, execute

ANOTHER = 0  # no organization's id: the payer is none of those that earn
MAX_DEPTH = 64  # bases of bases that are looked at: the cap is used up long before

LINEAGE = """
WITH RECURSIVE chain AS (
    SELECT id AS terms_id, 1 AS depth, base_id, royalty_ppm, inherited_id FROM catalog_royaltyterm WHERE id = ANY(%s::bigint[])
    UNION ALL
    SELECT c.terms_id, c.depth + 1, t.base_id, t.royalty_ppm, t.inherited_id
    FROM chain c JOIN catalog_royaltyterm t ON t.id = c.inherited_id WHERE c.depth < %s)
SELECT c.terms_id, l.organization_id, c.royalty_ppm FROM chain c JOIN catalog_listing l ON l.id = c.base_id
ORDER BY c.terms_id, c.depth
"""


@dataclass(frozen=True, slots=True)
class Ancestor:
    """The organization of a base, and its royalty in parts per million of the charge, which may be zero."""

    organization_id: int
    royalty_ppm: int


def lineages(terms_ids: Iterable[int]) -> dict[int, list[Ancestor]]:
    """The ancestors by the id of a RoyaltyTerm, the nearest base first."""
    wanted, found = set(terms_ids), dict[int, list[Ancestor]]()
    if not wanted:
        return found
    for terms_id, organization_id, ppm in execute(LINEAGE, array(wanted), MAX_DEPTH):
        found.setdefault(terms_id, []).append(Ancestor(organization_id, ppm))
    return found


def plan_of(lineage: Sequence[Ancestor], *, seller_id: int, payer_id: int, commission_ppm: int) -> Plan:
    """How a charge that ``payer_id`` pays to ``seller_id`` is shared from now on, the platform's share being ``commission_ppm``.

    Nobody owes a royalty to themselves. Nobody earns from their own calls of a derivative either: what is left, which were theirs, is
    the nearest base's that is another's, so that a fine-tune of one's own is no way around its base's price.
    """
    owed: dict[int, int] = {}
    for ancestor in lineage:
        if ancestor.royalty_ppm and ancestor.organization_id != seller_id:
            owed[ancestor.organization_id] = owed.get(ancestor.organization_id, 0) + ancestor.royalty_ppm
    rest_id = seller_id
    if payer_id == seller_id:
        rest_id = next((one.organization_id for one in lineage if one.organization_id != seller_id), seller_id)
        owed.pop(rest_id, None)
    return Plan(
        commission_ppm=commission_ppm,
        cap_ppm=settings.ROYALTY_CAP_PPM if owed else 0,
        royalties=tuple(Owed(*one) for one in owed.items()),
        rest_id=rest_id,
        rest_is_royalty=rest_id != seller_id,
    )


def expected_plan(listing: Listing, *, commission_ppm: int) -> Plan:
    """How what customers will pay for the listing is shared: by the terms of its newest release; before there is one, by those that the
    base which its card names has now.
    """
    newest = listing.releases.order_by("-number").first()
    base = listing.base.current_release if newest is None and listing.base else None
    terms_id = newest.terms_id if newest else base.terms_id if base else None
    lineage = lineages([terms_id])[terms_id] if terms_id else []
    if base:
        price = base.listing.prices.current().first()
        lineage = [Ancestor(base.listing.organization_id, price.royalty_ppm if price else 0), *lineage]
    return plan_of(lineage, seller_id=listing.organization_id, payer_id=ANOTHER, commission_ppm=commission_ppm)


def plan_for(*, listing: Listing, payer: Organization, commission_ppm: int, release: Release | None = None) -> Plan:
    """How a charge for the listing (its current release, or ``release``) is shared that ``payer`` pays.

    For calls, and for training on it. The commission is the caller's, so that the same one is in its own row.
    """
    made_from = release or listing.current_release
    terms_id = made_from.terms_id if made_from else None
    lineage = lineages([terms_id])[terms_id] if terms_id else []
    return plan_of(lineage, seller_id=listing.organization_id, payer_id=payer.pk, commission_ppm=commission_ppm)
