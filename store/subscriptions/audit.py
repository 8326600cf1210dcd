"""What the books of subscriptions must say; registered with ``ledger.audit``. What runs used of them, ``runs.audit`` looks at."""

from __future__ import annotations

from store.ledger.audit import Check
from store.ledger.shares_sql import ROYALTIES

PLATFORM = "div(p.charge_nano::numeric * p.commission_ppm, 1000000)"

CHECKS = (
    Check(
        name="charge of a subscription",
        query="""
            SELECT 'period ' || p.id, g.price_nano - p.credit_nano, p.charge_nano FROM subscriptions_subscriptionperiod p
            JOIN subscriptions_subscriptionplan g ON g.id = p.plan_id WHERE p.charge_nano <> g.price_nano - p.credit_nano""",
        remedy="A month costs its plan's price less the credit for the one before: add a transfer of kind correction for the difference.",
    ),
    Check(
        name="transfers of a subscription",
        query=f"""
            SELECT 'period ' || coalesce(p.id::text, t.period_id),
                   coalesce(p.charge_nano, 0) || ', of it commission ' || coalesce({PLATFORM}, 0),
                   coalesce(t.sum, 0) || ', of it commission ' || coalesce(t.platform, 0)
            FROM subscriptions_subscriptionperiod p FULL JOIN (
                SELECT split_part(key, ':', 2) AS period_id, sum(amount_nano), sum(amount_nano) FILTER (WHERE kind = 'commission') AS platform
                FROM ledger_transfer WHERE key LIKE 'subscription:%' GROUP BY 1
            ) AS t ON t.period_id = p.id::text
            WHERE coalesce(p.charge_nano, 0) <> coalesce(t.sum, 0) OR coalesce(t.platform, 0) <> coalesce({PLATFORM}, 0)""",
        remedy="The shares of provider, platform and royalties are not the charge: add the transfers that are missing, or corrections.",
    ),
    Check(
        name="royalties of a subscription",
        query=f"""
            SELECT 'period ' || coalesce(x.period_id, t.period_id) || ', organization ' || coalesce(x.organization_id, t.organization_id),
                   coalesce(x.amount, 0), coalesce(t.amount, 0)
            FROM (SELECT r.id::text AS period_id, owed.organization_id, owed.amount
                  FROM subscriptions_subscriptionperiod r JOIN ledger_sharesplan s ON s.id = r.shares_id
                  CROSS JOIN LATERAL ({ROYALTIES}) AS owed) AS x
            FULL JOIN (SELECT split_part(t.key, ':', 2) AS period_id, w.organization_id, sum(t.amount_nano) AS amount
                       FROM ledger_transfer t JOIN ledger_wallet w ON w.id = t.credit_id
                       WHERE t.kind = 'royalty' AND t.key LIKE 'subscription:%' GROUP BY 1, 2) AS t
                   ON t.period_id = x.period_id AND t.organization_id = x.organization_id
            WHERE coalesce(x.amount, 0) <> coalesce(t.amount, 0)""",
        remedy="The period's plan of shares gives the organization another royalty: add the transfer that is missing, or a correction.",
    ),
)
