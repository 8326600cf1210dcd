"""Where in the ledger a time is, and what a payout pays."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from store.ledger.models import Wallet, WalletKind
from store.ledger.sql import execute
from store.payouts.models import Payout

SLACK = timedelta(hours=1)  # no transaction that moves money lasts longer, so ids are in the order of time but for this
# Names of private models that others have made are nobody's business but theirs.
NAME = "CASE WHEN l.organization_id = {owner} OR NOT l.is_private THEN o.slug || '/' || l.slug ELSE '' END"
PAID = f"""
SELECT {NAME.format(owner="w.organization_id")}, t.kind, count(*), sum(t.amount_nano)::bigint
FROM ledger_transfer t JOIN ledger_wallet w ON w.id = t.credit_id
LEFT JOIN runs_run r ON t.key LIKE 'run:%%' AND r.id = CASE WHEN t.key LIKE 'run:%%' THEN split_part(t.key, ':', 2)::uuid END
LEFT JOIN tuning_tunejob j ON t.key LIKE 'tune:%%' AND j.hold_id = CASE WHEN t.key LIKE 'tune:%%' THEN split_part(t.key, ':', 2)::uuid END
LEFT JOIN catalog_release b ON b.id = j.base_id
LEFT JOIN subscriptions_subscriptionperiod m
       ON t.key LIKE 'subscription:%%' AND m.id = CASE WHEN t.key LIKE 'subscription:%%' THEN split_part(t.key, ':', 2)::bigint END
LEFT JOIN catalog_listing l ON l.id = coalesce(r.listing_id, b.listing_id, m.listing_id)
LEFT JOIN accounts_organization o ON o.id = l.organization_id
WHERE t.credit_id = %s AND t.kind <> 'return' AND t.id >= %s AND t.created_at > %s::timestamptz AND t.created_at <= %s::timestamptz
GROUP BY 1, 2 ORDER BY 4 DESC, 1, 2
"""
BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class PaidFor:
    """Earnings of one kind by one model, in the time that a payout pays. ``listing`` is empty where there is none, or it is private."""

    listing: str
    kind: str
    count: int
    amount_nano: int


def first_transfer(moment: datetime) -> int:
    """An id: every transfer before it is older than ``moment``. By halving, on the primary key."""
    rows = execute("SELECT coalesce(max(id), 0) FROM ledger_transfer")
    low, high = 0, int(rows[0][0]) + 1
    while low < high:
        middle = (low + high) // 2
        found = execute("SELECT created_at FROM ledger_transfer WHERE id >= %s ORDER BY id LIMIT 1", middle)
        if found and found[0][0] < moment - SLACK:
            low = middle + 1
        else:
            high = middle
    return low


def paid_for(payout: Payout) -> list[PaidFor]:
    """What became available since the payout before this one, the most first."""
    wallet = Wallet.objects.filter(organization=payout.organization_id, kind=WalletKind.EARNINGS).first()
    if wallet is None:
        return []
    since = payout.earned_from or BEGINNING
    rows = execute(PAID, wallet.pk, first_transfer(since), since, payout.earned_until)
    return [PaidFor(name or "", kind, count, amount) for name, kind, count, amount in rows]
