"""Who earned and paid the most in a period, and how many customers are new, came back or were lost: one look at the days for all of it."""

from __future__ import annotations

from dataclasses import dataclass

from store.backoffice.customers import TRADED, standings, values
from store.backoffice.figures import Figure
from store.backoffice.links import CHARGES, EARNED, transfers
from store.backoffice.period import Period
from store.backoffice.ranks import TOP, Ranked
from store.ledger.sql import execute

# (what it is, the slug of the wallet's owner, the wallet, nano-dollars or a count)
FOUND = f"""
{TRADED}, found AS (
    (SELECT 'earned' AS what, wallet_id, earned_nano AS value FROM traded WHERE earned_nano > 0 ORDER BY 3 DESC, 2 LIMIT {TOP})
    UNION ALL
    (SELECT 'paid', wallet_id, paid_nano FROM traded WHERE paid_nano > 0 ORDER BY 3 DESC, 2 LIMIT {TOP})
    UNION ALL
    SELECT standing, NULL, count(*) FROM traded WHERE standing IS NOT NULL GROUP BY 1
)
SELECT f.what, o.slug, f.wallet_id, f.value
FROM found f LEFT JOIN ledger_wallet w ON w.id = f.wallet_id LEFT JOIN accounts_organization o ON o.id = w.organization_id
ORDER BY f.value DESC, f.wallet_id
"""


@dataclass(frozen=True, slots=True)
class Trade:
    """``providers`` by what they earned, royalties included; ``consumers`` by what they paid."""

    providers: list[Ranked]
    consumers: list[Ranked]
    customers: list[Figure]


def trade(period: Period) -> Trade:
    """Of a period."""
    found = execute(FOUND, *values(period))
    counts = {what: value for what, _name, wallet_id, value in found if wallet_id is None}
    return Trade(
        providers=[
            Ranked(name, nano, transfers(EARNED, period, credit__id__exact=wallet_id))
            for what, name, wallet_id, nano in found
            if what == "earned"
        ],
        consumers=[
            Ranked(name, nano, transfers(CHARGES, period, debit__id__exact=wallet_id))
            for what, name, wallet_id, nano in found
            if what == "paid"
        ],
        customers=standings(counts, period),
    )
