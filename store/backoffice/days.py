"""The ledger by day. Days that are over are kept as rows, for transfers never change; what is newer is read from the transfers.

So a figure is always that of its transfers, to the unit and to the moment, and costs a few rows for each day.
"""

from __future__ import annotations

from datetime import UTC, date, timedelta
from typing import Any, Final

from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from store.backoffice.links import CHARGES, EARNED
from store.backoffice.models import LedgerDay, WalletDay
from store.backoffice.period import DAY, Period
from store.ledger.audit import Check
from store.ledger.sql import execute

FIRST_DAY: Final = date(1970, 1, 1)  # nothing moved before
SETTLED: Final = timedelta(hours=1)  # no transaction is open for longer: a day that ended before this is whole
LOCK: Final = 7_311_204  # of the days, among the database's advisory locks


def _names(kinds: tuple[str, ...]) -> str:
    return ", ".join(f"'{kind}'" for kind in kinds)


WITHIN: Final = (
    "t.created_at >= {since}::timestamp AT TIME ZONE 'UTC' AND t.created_at < {until}::timestamp AT TIME ZONE 'UTC'"
)
# What moved: each transfer out of one wallet and into another.
BY_KIND: Final = """
SELECT (t.created_at AT TIME ZONE 'UTC')::date AS day, w.kind AS wallet_kind, t.kind, sum(leg.debit_nano)::bigint AS debit_nano,
       sum(leg.credit_nano)::bigint AS credit_nano, count(*) AS transfers
FROM ledger_transfer t
CROSS JOIN LATERAL (VALUES (t.debit_id, t.amount_nano, 0), (t.credit_id, 0, t.amount_nano)) AS leg(wallet_id, debit_nano, credit_nano)
JOIN ledger_wallet w ON w.id = leg.wallet_id
WHERE {within} GROUP BY 1, 2, 3
"""
# What customers paid and providers earned: each leg of a charge that is of a wallet of theirs.
BY_WALLET: Final = f"""
SELECT (t.created_at AT TIME ZONE 'UTC')::date AS day, leg.wallet_id, sum(leg.paid_nano)::bigint AS paid_nano,
       sum(leg.earned_nano)::bigint AS earned_nano
FROM ledger_transfer t
CROSS JOIN LATERAL (VALUES (t.debit_id, 'credit', t.amount_nano, 0),
                           (t.credit_id, 'earnings', 0, CASE WHEN t.kind IN ({_names(EARNED)}) THEN t.amount_nano ELSE 0 END))
           AS leg(wallet_id, wallet_kind, paid_nano, earned_nano)
JOIN ledger_wallet w ON w.id = leg.wallet_id AND w.kind = leg.wallet_kind
WHERE t.kind IN ({_names(CHARGES)}) AND {{within}} GROUP BY 1, 2 HAVING sum(leg.paid_nano) + sum(leg.earned_nano) > 0
"""
_WITHIN: Final = WITHIN.format(since="%s::date", until="%s::date")
# (day, wallet_kind, kind, debit_nano, credit_nano, transfers) of a period: the days that are kept, and the transfers of those that are
# not. Takes what :func:`parts` gives.
MOVES: Final = f"""
SELECT day, wallet_kind, kind, debit_nano, credit_nano, transfers FROM backoffice_ledgerday WHERE day >= %s AND day < %s
UNION ALL ({BY_KIND.format(within=_WITHIN)})
"""
# (day, wallet_id, paid_nano, earned_nano) of days that are not kept.
TRADES: Final = BY_WALLET.format(within=_WITHIN)
KEEP: Final = f"""
WITH kinds AS (
    INSERT INTO backoffice_ledgerday (day, wallet_kind, kind, debit_nano, credit_nano, transfers)
    {BY_KIND.format(within=_WITHIN)} RETURNING 1
), wallets AS (
    INSERT INTO backoffice_walletday (day, wallet_id, paid_nano, earned_nano) {BY_WALLET.format(within=_WITHIN)} RETURNING 1
)
SELECT (SELECT count(*) FROM kinds) + (SELECT count(*) FROM wallets)
"""
_EDGE: Final = "(SELECT coalesce(max(day) + 1, '-infinity'::date) FROM backoffice_ledgerday)"
_KEPT: Final = WITHIN.format(since=repr(str(FIRST_DAY)), until=_EDGE)
REMEDY: Final = (
    "The dashboard's day is not the sum of its transfers: make the days again with manage.py ledger_days --rebuild."
)
CHECKS: Final = (
    Check(
        name="days of the ledger",
        query=f"""
            SELECT coalesce(d.day, t.day) || ', ' || coalesce(d.wallet_kind, t.wallet_kind) || ', ' || coalesce(d.kind, t.kind),
                   coalesce(t.debit_nano || ' out, ' || t.credit_nano || ' in', 'nothing'),
                   coalesce(d.debit_nano || ' out, ' || d.credit_nano || ' in', 'nothing')
            FROM backoffice_ledgerday d FULL JOIN ({BY_KIND.format(within=_KEPT)}) AS t
                 ON t.day = d.day AND t.wallet_kind = d.wallet_kind AND t.kind = d.kind
            WHERE (d.debit_nano, d.credit_nano, d.transfers) IS DISTINCT FROM (t.debit_nano, t.credit_nano, t.transfers)""",
        remedy=REMEDY,
    ),
    Check(
        name="days of a wallet",
        query=f"""
            SELECT 'wallet ' || coalesce(d.wallet_id, t.wallet_id) || ' on ' || coalesce(d.day, t.day),
                   coalesce(t.paid_nano || ' paid, ' || t.earned_nano || ' earned', 'nothing'),
                   coalesce(d.paid_nano || ' paid, ' || d.earned_nano || ' earned', 'nothing')
            FROM backoffice_walletday d FULL JOIN ({BY_WALLET.format(within=_KEPT)}) AS t ON t.day = d.day AND t.wallet_id = d.wallet_id
            WHERE (d.paid_nano, d.earned_nano) IS DISTINCT FROM (t.paid_nano, t.earned_nano)""",
        remedy=REMEDY,
    ),
)


def kept_until() -> date:
    """The first day that is not kept."""
    newest = LedgerDay.objects.aggregate(day=Max("day"))["day"]
    return newest + DAY if newest else FIRST_DAY


def parts(period: Period) -> list[Any]:
    """The parameters of MOVES for a period."""
    edge = kept_until()
    return [period.since, min(period.until, edge), max(period.since, edge), max(period.until, edge)]


@transaction.atomic
def keep_days(*, rebuild: bool = False) -> int:
    """Keeps every day that is over and not kept yet; with ``rebuild`` all of them anew. Returns how many rows were written."""
    execute("SELECT pg_advisory_xact_lock(%s)", LOCK)
    if rebuild:
        LedgerDay.objects.all().delete()
        WalletDay.objects.all().delete()
    until = (timezone.now() - SETTLED).astimezone(UTC).date()
    since = kept_until()
    return int(execute(KEEP, since, until, since, until)[0][0]) if since < until else 0
