"""What the books of top-ups, refunds and disputes must say; registered with ``ledger.audit``."""

from __future__ import annotations

from store.ledger.audit import Check

CHECKS = (
    Check(
        name="transfer of a top-up",
        query="""
            SELECT coalesce('top-up ' || u.id, 'transfer ' || t.key), coalesce(u.amount_nano, 0), coalesce(t.amount_nano, 0)
            FROM (SELECT * FROM billing_topup WHERE status = 'paid') u
            FULL JOIN (SELECT * FROM ledger_transfer WHERE kind = 'topup') AS t ON t.key = 'topup:' || u.id
            WHERE coalesce(u.amount_nano, 0) <> coalesce(t.amount_nano, 0)""",
        remedy="A top-up that is paid moves its amount once: add the transfer with the key topup:<id>, or a correction.",
    ),
    Check(
        name="transfers of a refund or dispute",
        query="""
            SELECT r.prefix || r.id, r.amount_nano, coalesce(sum(t.amount_nano), 0) FROM (
                SELECT 'refund:' AS prefix, id, amount_nano, topup_id FROM billing_refund
                UNION ALL SELECT 'dispute:', id, amount_nano, topup_id FROM billing_dispute) AS r
            LEFT JOIN ledger_transfer t ON t.key IN (r.prefix || r.id || ':credit', r.prefix || r.id || ':platform', r.prefix || r.id || ':tax')
            GROUP BY 1, 2 HAVING r.amount_nano <> coalesce(sum(t.amount_nano), 0)""",
        remedy="What goes back is taken once, from credit, tax and the platform: add the part that is missing, or a correction.",
    ),
    Check(
        name="money that is frozen",
        query="""
            SELECT 'wallet ' || w.id, coalesce(d.sum, 0), w.posted_nano FROM ledger_wallet w LEFT JOIN (
                SELECT u.organization_id, sum(d.amount_nano) FROM billing_dispute d JOIN billing_topup u ON u.id = d.topup_id
                WHERE d.status = 'open' GROUP BY 1) AS d ON d.organization_id = w.organization_id
            WHERE w.kind = 'disputed' AND w.posted_nano <> coalesce(d.sum, 0)""",
        remedy="A wallet of disputed money holds what the open disputes of its organization are about.",
    ),
    Check(
        name="transfers of a grant",
        query="""
            SELECT coalesce('grant ' || g.id, 'transfer of grant ' || t.id), coalesce(g.amount_nano || ', back ' || g.returned_nano, 'none'),
                   coalesce(t.given || ', back ' || t.back, 'none')
            FROM billing_grant g FULL JOIN (
                SELECT split_part(key, ':', 2) AS id, coalesce(sum(amount_nano) FILTER (WHERE split_part(key, ':', 3) = ''), 0) AS given,
                       coalesce(sum(amount_nano) FILTER (WHERE split_part(key, ':', 3) = 'back'), 0) AS back
                FROM ledger_transfer WHERE kind = 'grant' AND key LIKE 'grant:%' GROUP BY 1) AS t ON t.id = g.id::text
            WHERE (g.amount_nano, g.returned_nano) IS DISTINCT FROM (t.given, t.back)""",
        remedy="A grant moves its amount once, and what is left of it goes back: add the transfer that is missing, or a correction.",
    ),
    Check(
        name="spending of grants",
        query="""
            SELECT 'wallet ' || y.wallet_id, coalesce(t.sum, 0) || ', of it granted ' || y.granted_nano,
                   (y.granted_nano + y.own_nano) || ', of it granted ' || (coalesce(g.spent, 0) - y.earlier_nano)
            FROM billing_granttally y JOIN ledger_wallet w ON w.id = y.wallet_id
            LEFT JOIN LATERAL (SELECT sum(amount_nano) FROM ledger_transfer WHERE debit_id = y.wallet_id AND id > y.since_id
                               AND id <= y.counted_id AND kind NOT IN ('refund', 'dispute', 'grant')) AS t ON true
            LEFT JOIN (SELECT organization_id, sum(spent_nano) AS spent FROM billing_grant GROUP BY 1) AS g
                   ON g.organization_id = w.organization_id
            WHERE y.granted_nano + y.own_nano <> coalesce(t.sum, 0) OR coalesce(g.spent, 0) - y.earlier_nano <> y.granted_nano""",
        remedy="What was spent since the grant is not what was counted: correct the grant by a transfer, with the sum of the transfers in hand.",
    ),
    Check(
        name="granted credit that is left",
        query="""
            SELECT 'wallet ' || w.id, 'at least ' || g.counted, w.posted_nano FROM ledger_wallet w JOIN (
                SELECT organization_id, sum(amount_nano - spent_nano - returned_nano) AS counted FROM billing_grant
                WHERE ended_at IS NULL GROUP BY 1) AS g ON g.organization_id = w.organization_id
            LEFT JOIN billing_granttally y ON y.wallet_id = w.id
            LEFT JOIN LATERAL (SELECT sum(amount_nano) FROM ledger_transfer WHERE debit_id = w.id AND id > y.counted_id
                               AND kind NOT IN ('refund', 'dispute', 'grant')) AS t ON true
            WHERE w.kind = 'credit' AND w.posted_nano < greatest(g.counted - coalesce(t.sum, 0), 0)""",
        remedy="More granted credit is left than there is credit: something took it that is no spending. Add a correction.",
    ),
    Check(
        name="tax of a top-up",
        query="""
            SELECT coalesce('top-up ' || u.id, 'transfer ' || t.key), coalesce(u.tax_nano, 0), coalesce(t.amount_nano, 0)
            FROM (SELECT * FROM billing_topup WHERE status = 'paid' AND tax_nano > 0) u
            FULL JOIN (SELECT * FROM ledger_transfer WHERE kind = 'tax') AS t ON t.key = 'topup:' || u.id || ':tax'
            WHERE coalesce(u.tax_nano, 0) <> coalesce(t.amount_nano, 0)""",
        remedy="The tax that was paid is booked once, from the bank: add the transfer with the key topup:<id>:tax, or a correction.",
    ),
    Check(
        name="receipts and credit notes",
        query="""
            SELECT coalesce('paper ' || p.number, x.about), coalesce(x.amount, 0), coalesce(p.total_nano, 0) FROM (
                SELECT 'topup:' || u.id AS about, u.amount_nano + u.tax_nano AS amount, r.id IS NOT NULL AS is_due
                FROM billing_topup u LEFT JOIN billing_paper r ON r.kind = 'receipt' AND r.about = 'topup:' || u.id
                WHERE u.status = 'paid' AND u.payment_intent IS NOT NULL
                UNION ALL SELECT 'refund:' || b.id, -b.amount_nano, r.id IS NOT NULL FROM billing_refund b
                LEFT JOIN billing_paper r ON r.kind = 'receipt' AND r.about = 'topup:' || b.topup_id
                UNION ALL SELECT 'refund:' || b.id || ':failed', b.amount_nano, r.id IS NOT NULL FROM billing_refund b
                LEFT JOIN billing_paper r ON r.kind = 'receipt' AND r.about = 'topup:' || b.topup_id WHERE b.failed_at IS NOT NULL
                UNION ALL SELECT 'dispute:' || b.id, -b.amount_nano, r.id IS NOT NULL FROM billing_dispute b
                LEFT JOIN billing_paper r ON r.kind = 'receipt' AND r.about = 'topup:' || b.topup_id WHERE b.status = 'lost') AS x
            FULL JOIN (SELECT * FROM billing_paper WHERE kind <> 'statement') AS p ON p.about = x.about
            WHERE (x.is_due OR x.about IS NULL) AND coalesce(x.amount, 0) <> coalesce(p.total_nano, 0)""",
        remedy="A paper says another amount than was paid or went back, or one is missing: issue the paper that corrects it.",
    ),
    Check(
        name="numbers of papers",
        query="""
            SELECT 'series ' || coalesce(s.name, p.name), coalesce(s.last, 0), coalesce(p.count, 0) FROM billing_paperseries s FULL JOIN (
                SELECT left(number, -7) AS name, count(*) FROM billing_paper GROUP BY 1) AS p ON p.name = s.name
            WHERE coalesce(s.last, 0) <> coalesce(p.count, 0)""",
        remedy="A number is missing, or was given twice: restore the papers from a backup.",
    ),
    Check(
        name="hold of a refund",
        query="""
            SELECT 'refund order ' || o.id || ' (' || o.status || ')', CASE WHEN o.status = 'waiting' THEN 'open' ELSE 'voided' END,
                   coalesce(h.status, 'no hold')
            FROM billing_refundorder o LEFT JOIN ledger_hold h ON h.id = o.id
            WHERE h.status IS DISTINCT FROM CASE WHEN o.status = 'waiting' THEN 'open' ELSE 'voided' END""",
        remedy="What is to go back is held until it has: end the hold with its order.",
    ),
    Check(
        name="order of a refund",
        query="""
            SELECT 'refund order ' || o.id, o.amount_nano, coalesce(r.amount_nano, 0) FROM billing_refundorder o
            LEFT JOIN billing_refund r ON r.id = o.refund_id
            WHERE o.status = 'done' AND o.amount_nano IS DISTINCT FROM r.amount_nano""",
        remedy="Another amount went back than was ordered: look at the refund at Stripe.",
    ),
)
