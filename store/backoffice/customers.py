"""Who pays: customers that are new in a period, that came back, and that were lost."""

from __future__ import annotations

from typing import Final

from django.utils.translation import gettext_lazy as _

from store.backoffice.days import TRADES, kept_until, parts
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
PAID: Final = f"SELECT DISTINCT wallet_id FROM ({TRADES}) AS m WHERE paid_nano > 0"
FOUND: Final = f"""
WITH now AS ({PAID}), lately AS ({PAID}), newer AS ({PAID}),
found AS (
    SELECT coalesce(n.wallet_id, l.wallet_id) AS wallet_id,
           CASE WHEN n.wallet_id IS NULL THEN '{LOST}'
                WHEN l.wallet_id IS NOT NULL OR r.wallet_id IS NOT NULL
                     OR EXISTS (SELECT FROM backoffice_walletday d WHERE d.wallet_id = n.wallet_id AND d.paid_nano > 0 AND d.day < %s)
                THEN '{RETURNING}' ELSE '{NEW}' END AS standing
    FROM now n FULL JOIN lately l USING (wallet_id) LEFT JOIN newer r ON r.wallet_id = n.wallet_id
)
SELECT f.standing, w.organization_id FROM found f JOIN ledger_wallet w ON w.id = f.wallet_id AND w.kind = 'credit'
"""


def customers(period: Period) -> dict[str, set[int]]:
    """Ids of organizations by how they stand.

    New: paid in the period for the first time. Returning: paid in it, and before. Lost: paid in the time of the same length before it,
    and not in it.
    """
    found: dict[str, set[int]] = {NEW: set(), RETURNING: set(), LOST: set()}
    # Whether somebody has paid at any time before is looked up in the days that are kept, and read of those that are not.
    unkept = Period(min(kept_until(), period.since), period.since)
    values = [value for part in (period, period.before, unkept) for value in parts(part)]
    for standing, organization_id in execute(FOUND, *values, period.since):
        found[standing].add(organization_id)
    found[PAYING] = found[NEW] | found[RETURNING]
    return found


def standings(period: Period) -> list[Figure]:
    """How many of each."""
    found = customers(period)
    return [
        Figure(
            key=key, name=name, count=len(found[key]),
            url=rows("backoffice_payingcustomer", standing=f"{key}:{period.since}:{period.until}"),
        )
        for key, name in NAMES.items()
    ]  # fmt: skip
