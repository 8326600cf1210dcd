"""What use says of each listing: trending, uptime, calls of the last 30 days.

Trending counts customers who came back: an organization that paid for calls on at least two days of the last 30 gives, for each of these
days, a point that halves with every week of age. The provider's own organization, and any that shares a member with it, gives none: a
provider cannot make a model trend, and a crowd that tried it once does not either.
"""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from store.discovery.actions import Use, record_use
from store.ledger.sql import execute
from store.reputation.periods import hour_of

DAYS = 30
RETURNS = 2  # days on which a customer must have paid
HALF_LIFE_DAYS = 7
DECIMALS = 3  # finer differences are not written: every write of a row costs the index
DIGITS = 2  # of the number of calls
BATCH = 1_000

FIGURES = """
WITH paid AS (
    SELECT p.listing_id, sum(power(0.5, (%s::date - p.day) / %s::float8)) AS points
    FROM reputation_paidday p JOIN catalog_listing l ON l.id = p.listing_id
    WHERE p.day > %s::date - %s::int AND p.organization_id <> l.organization_id AND NOT EXISTS (
        SELECT FROM accounts_membership customer JOIN accounts_membership seller ON seller.user_id = customer.user_id
        WHERE customer.organization_id = p.organization_id AND seller.organization_id = l.organization_id)
    GROUP BY p.listing_id, p.organization_id HAVING count(*) >= %s),
trends AS (SELECT listing_id, sum(points) AS trending FROM paid GROUP BY listing_id),
used AS (
    SELECT listing_id, sum(calls)::bigint AS calls, sum(failed)::float8 / sum(calls)::float8 AS failing
    FROM reputation_listinghour WHERE hour >= %s GROUP BY listing_id)
SELECT s.listing_id, round(coalesce(t.trending, 0)::numeric, %s)::float8, round((1 - u.failing)::numeric, %s + 1)::float8, coalesce(u.calls, 0)
FROM (SELECT listing_id FROM trends UNION SELECT listing_id FROM used
      UNION SELECT listing_id FROM discovery_standing WHERE trending > 0 OR calls_30d > 0) AS s
LEFT JOIN trends t USING (listing_id) LEFT JOIN used u USING (listing_id)
ORDER BY s.listing_id
"""


def update_trending() -> int:
    """Writes the figures of every listing that has some, or had. Returns how many."""
    now = timezone.now()
    since = hour_of(now) - timedelta(days=DAYS)
    rows = execute(FIGURES, now.date(), HALF_LIFE_DAYS, now.date(), DAYS, RETURNS, since, DECIMALS, DECIMALS)
    uses = [Use(listing_id=row[0], trending=row[1], uptime=row[2], calls_30d=rough(row[3])) for row in rows]
    for start in range(0, len(uses), BATCH):
        record_use(uses[start : start + BATCH])
    return len(uses)


def rough(calls: int) -> int:
    """Rounded to DIGITS digits: 123456 as 120000."""
    return round(calls, min(0, DIGITS - len(str(calls))))
