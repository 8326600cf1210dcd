"""What an organization earns by models that others made from its own, from the rollups."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from store.accounts.models import Organization
from store.ledger.sql import execute


@dataclass(frozen=True, slots=True)
class RoyaltyRow:
    """Of a derivative; ``listing`` is empty for all the private ones together, whose names are nobody else's business."""

    listing: str
    calls: int
    royalty_nano: int


def royalties_earned(*, organization: Organization, since: datetime, until: datetime) -> list[RoyaltyRow]:
    """The derivatives that brought something from ``since`` (cut to the hour) until before ``until``, the most first."""
    rows = execute(
        """SELECT CASE WHEN l.is_private THEN '' ELSE o.slug || '/' || l.slug END AS name, sum(h.calls)::bigint, sum(h.royalty_nano)::bigint
           FROM reputation_royaltyhour h JOIN catalog_listing l ON l.id = h.listing_id
           JOIN accounts_organization o ON o.id = l.organization_id
           WHERE h.organization_id = %s AND h.hour >= date_trunc('hour', %s::timestamptz) AND h.hour < %s::timestamptz
           GROUP BY 1 ORDER BY 3 DESC, 1""",
        organization.pk,
        since.astimezone(UTC),
        until.astimezone(UTC),
    )
    return [RoyaltyRow(*row) for row in rows]
