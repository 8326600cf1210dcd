"""What the books of top-ups must say; registered with ``ledger.audit``."""

from __future__ import annotations

from store.ledger.audit import Check

CHECKS = (
    Check(
        name="transfer of a top-up",
        query="""
            SELECT coalesce('top-up ' || u.id, 'transfer ' || t.key), coalesce(u.amount_nano, 0), coalesce(t.amount_nano, 0)
            FROM billing_topup u FULL JOIN (SELECT * FROM ledger_transfer WHERE kind = 'topup') AS t ON t.key = 'topup:' || u.id
            WHERE coalesce(u.amount_nano, 0) <> coalesce(t.amount_nano, 0)""",
        remedy="A top-up moves its amount once: add the transfer with the key topup:<id>, or a correction.",
    ),
)
