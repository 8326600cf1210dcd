"""A listing's lineage as its page shows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from store.catalog.models import Listing
from store.console.catalog import address_of
from store.discovery.related import lineage

DESCENDANTS_SHOWN = 6


class Relative(NamedTuple):
    """``relation`` says how it was made; ``output_nano`` is not asked for here."""

    provider: str
    slug: str
    relation: str
    parameters: int
    output_nano: int | None = None


@dataclass(frozen=True, slots=True)
class Family:
    """Both nearest first; ``more_address`` finds all that was made from it, and is empty where all are shown."""

    bases: list[Relative]
    derivatives: list[Relative]
    more_address: str


def family_of(listing: Listing, user: Any) -> Family:
    """What the visitor may see of it."""
    found = lineage(listing, user=user)
    below = [_relative(child, child.get_base_relation_display()) for _generation, child in found.descendants]
    makers = [listing, *found.ancestors]  # each was made from the next
    above = [
        _relative(base, maker.get_base_relation_display()) for maker, base in zip(makers, found.ancestors, strict=False)
    ]
    more = address_of({"base": [listing.name]}) if len(below) > DESCENDANTS_SHOWN else ""
    return Family(above, below[:DESCENDANTS_SHOWN], more)


def _relative(listing: Listing, relation: str) -> Relative:
    release = listing.current_release
    return Relative(listing.organization.slug, listing.slug, relation, release.parameters if release else 0)
