"""Which commission a listing has now, and by which rule.

Of the rules that apply the most specific counts: a campaign before the provider's own rule, that before the category's, that before the
one for everybody; where there is none, ``COMMISSION_PPM``. Of two campaigns the one for a provider counts, then the one for a category,
then the one that began last.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.conf import settings

from store.catalog.models import CommissionRule, Listing
from store.ledger.sql import execute

_IN_FORCE = "{0}.starts_at <= statement_timestamp() AND ({0}.ends_at IS NULL OR {0}.ends_at > statement_timestamp())"

# The rule for a listing ``l``, as a row (id, ppm) or none: to be joined laterally, so that a batch of runs asks for all of theirs at once.
# A row that another for the same has taken the place of is none; nor is one that says there is no such rule.
RULE_OF_LISTING = f"""
SELECT c.id, c.ppm FROM catalog_commissionrule c
WHERE (c.provider_id IS NULL OR c.provider_id = l.organization_id) AND (c.category = '' OR c.category = l.category)
  AND c.ppm IS NOT NULL AND {_IN_FORCE.format("c")}
  AND NOT EXISTS (
      SELECT FROM catalog_commissionrule n
      WHERE n.provider_id IS NOT DISTINCT FROM c.provider_id AND n.category = c.category AND n.scope = c.scope
        AND (n.scope <> 'campaign' OR n.name = c.name) AND (n.starts_at, n.id) > (c.starts_at, c.id) AND {_IN_FORCE.format("n")})
ORDER BY array_position(ARRAY['campaign', 'provider', 'category', 'global'], c.scope::text), c.provider_id IS NULL, c.category = '',
         c.starts_at DESC, c.id DESC
LIMIT 1
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Commission:
    """The platform's share of a charge, in parts per million, and why it is that. ``rule`` None: none applies, it is the store's setting."""

    ppm: int
    rule: CommissionRule | None

    @property
    def ends_at(self) -> datetime | None:
        """When it ends, if that is known."""
        return self.rule.ends_at if self.rule else None


def commission_of(listing: Listing) -> Commission:
    """What holds for a run of the listing that is opened now."""
    found = execute(
        f"SELECT c.id FROM catalog_listing l CROSS JOIN LATERAL ({RULE_OF_LISTING}) AS c WHERE l.id = %s", listing.pk
    )
    rule = CommissionRule.objects.get(pk=found[0][0]) if found else None
    return Commission(ppm=rule.ppm if rule and rule.ppm is not None else settings.COMMISSION_PPM, rule=rule)
