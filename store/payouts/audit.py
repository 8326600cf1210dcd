"""What the books of payouts must say; registered with ``ledger.audit``."""

from __future__ import annotations

from store.ledger.audit import Check

OPEN = "('pending', 'in_flight')"
# (key, nano-dollars) of every transfer that a payout has made in the state that it is in. One that was reversed may have been paid before.
DUE = """
    SELECT 'payout:' || p.id AS key, p.amount_nano AS amount FROM payouts_payout p
    UNION ALL SELECT 'payout:' || p.id || ':paid', p.amount_nano - p.fee_nano FROM payouts_payout p WHERE p.status = 'paid' OR undone(p)
    UNION ALL SELECT 'payout:' || p.id || ':fee', p.fee_nano FROM payouts_payout p WHERE p.fee_nano > 0 AND (p.status = 'paid' OR undone(p))
    UNION ALL SELECT 'payout:' || p.id || ':undone', p.amount_nano - p.fee_nano FROM payouts_payout p WHERE undone(p)
    UNION ALL SELECT 'payout:' || p.id || ':fee-undone', p.fee_nano FROM payouts_payout p WHERE p.fee_nano > 0 AND undone(p)
    UNION ALL SELECT 'payout:' || p.id || ':back', p.amount_nano FROM payouts_payout p
              WHERE p.status IN ('failed', 'cancelled') OR (p.status = 'reversed' AND NOT undone(p))
""".replace(
    "undone(p)",
    "(p.status = 'reversed' AND EXISTS (SELECT FROM ledger_transfer u WHERE u.key = 'payout:' || p.id || ':paid'))",
)

CHECKS = (
    Check(
        name="transfers of a payout",
        query=f"""
            SELECT coalesce(due.key, t.key), coalesce(due.amount, 0), coalesce(t.amount_nano, 0)
            FROM ({DUE}) AS due
            FULL JOIN (SELECT * FROM ledger_transfer WHERE kind IN ('payout', 'payout_fee', 'return')) AS t ON t.key = due.key
            WHERE coalesce(due.amount, 0) <> coalesce(t.amount_nano, 0)""",
        remedy="The key says which payout, and which of its steps: add the transfer that is missing, or a correction.",
    ),
    Check(
        name="money in flight",
        query=f"""
            SELECT 'wallet ' || w.id, coalesce(p.sum, 0), w.posted_nano FROM ledger_wallet w LEFT JOIN (
                SELECT organization_id, sum(amount_nano) FROM payouts_payout WHERE status IN {OPEN} GROUP BY 1) AS p
                ON p.organization_id = w.organization_id
            WHERE w.kind = 'in_flight' AND w.posted_nano <> coalesce(p.sum, 0)""",
        remedy="The wallet holds what the open payouts of its organization are about: look at its newest transfers.",
    ),
    Check(
        name="payout that nobody looks at",
        query=f"""
            SELECT 'payout ' || id || ' (' || status || ')', 'looked at again within a day', 'due since ' || due_at FROM payouts_payout
            WHERE status IN {OPEN} AND due_at < now() - interval '1 day'""",
        remedy="The CPU workers do not run, or the task payouts.due fails: look at their log. Nothing is lost meanwhile.",
    ),
)
