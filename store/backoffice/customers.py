"""Who pays: customers that are new in a period, that came back, and that were lost."""

from __future__ import annotations

from typing import Final

from django.utils.translation import gettext_lazy as _

from store.backoffice.days import TRADES, kept_until
from store.backoffice.figures import Figure
from store.backoffice.links import rows
from store.backoffice.period import Period
from store.ledger.sql import execute

PAYING, NEW, RETURNING, LOST = "paying", "new", "returning", "lost"
NAMES: Final = {
    PAYING: _("Paying customers"),
    NEW: _("New"),
    RETURNING: _("Returning"),
    LOST: _("Lost"),
}
# Of some days, by wallet: what it paid and earned in the period, and whether it paid in the time before it, and at all before it.
_SUMS: Final = """
SELECT m.wallet_id, coalesce(sum(m.paid_nano) FILTER (WHERE m.day >= p.since), 0)::bigint AS paid_nano,
       coalesce(sum(m.earned_nano) FILTER (WHERE m.day >= p.since), 0)::bigint AS earned_nano,
       bool_or(m.paid_nano > 0 AND m.day >= p.before AND m.day < p.since) AS paid_lately,
       bool_or(m.paid_nano > 0 AND m.day < p.since) AS paid_before
FROM {days} AS m CROSS JOIN period p {where} GROUP BY 1
"""
# (wallet_id, paid_nano, earned_nano, standing) of all who traded in a period or in the time of the same length before it; standing is null
# where nothing was paid. Takes what :func:`values` gives. Days that are kept and days that are not are summed apart: the first are many.
# Whether somebody has paid at any time before is looked up in the days that are kept, and read of those that are not.
TRADED: Final = f"""
WITH period AS (SELECT %s::date AS since, %s::date AS before), parts AS (
    ({_SUMS.format(days="backoffice_walletday", where="WHERE m.day >= %s AND m.day < %s")})
    UNION ALL ({_SUMS.format(days=f"({TRADES})", where="")})
), summed AS (
    SELECT wallet_id, sum(paid_nano)::bigint AS paid_nano, sum(earned_nano)::bigint AS earned_nano, bool_or(paid_lately) AS paid_lately,
           bool_or(paid_before) AS paid_before
    FROM parts GROUP BY 1
), traded AS MATERIALIZED (
    SELECT s.wallet_id, s.paid_nano, s.earned_nano,
           CASE WHEN s.paid_nano = 0 THEN CASE WHEN s.paid_lately THEN '{LOST}' END
                WHEN s.paid_before OR EXISTS (SELECT FROM backoffice_walletday d CROSS JOIN period p
                                              WHERE d.wallet_id = s.wallet_id AND d.paid_nano > 0 AND d.day < p.since)
                THEN '{RETURNING}' ELSE '{NEW}' END AS standing
    FROM summed s
)
"""


def values(period: Period) -> list[object]:
    """The parameters of TRADED."""
    before, edge = period.before.since, kept_until()
    return [period.since, before, before, min(period.until, edge), edge, max(period.until, edge)]


def customers(period: Period) -> dict[str, set[int]]:
    """Ids of organizations by how they stand.

    New: paid in the period for the first time. Returning: paid in it, and before. Lost: paid in the time of the same length before it,
    and not in it.
    """
    found: dict[str, set[int]] = {NEW: set(), RETURNING: set(), LOST: set()}
    query = f"""{TRADED} SELECT t.standing, w.organization_id FROM traded t JOIN ledger_wallet w ON w.id = t.wallet_id
                WHERE t.standing IS NOT NULL"""
    for standing, organization_id in execute(query, *values(period)):
        found[standing].add(organization_id)
    found[PAYING] = found[NEW] | found[RETURNING]
    return found


def standings(found: dict[str, int], period: Period) -> list[Figure]:
    """How many of each, from how many are new, returning and lost."""
    counts = {PAYING: found.get(NEW, 0) + found.get(RETURNING, 0), **found}
    return [
        Figure(
            key=key, name=name, count=counts.get(key, 0),
            url=rows("backoffice_payingcustomer", standing=f"{key}:{period.since}:{period.until}"),
        )
        for key, name in NAMES.items()
    ]  # fmt: skip
