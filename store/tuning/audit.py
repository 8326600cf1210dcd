"""What the books of the trainings must say; registered with ``ledger.audit``."""

from __future__ import annotations

from store.ledger.audit import Check
from store.ledger.shares_sql import ROYALTIES

CHARGE = "ceil(j.charged_tokens::numeric * j.price_nano / 1000000)"
OPEN = "('validating_files', 'queued', 'running', 'paused')"
PLATFORM = "div(j.charge_nano::numeric * j.commission_ppm, 1000000)"

CHECKS = (
    Check(
        name="charge of a training",
        query=f"""
            SELECT 'job ' || j.public_id, {CHARGE}, j.charge_nano FROM tuning_tunejob j
            WHERE j.charge_nano <> {CHARGE} OR (j.charged_tokens <> 0 AND j.status IN {OPEN})""",
        remedy="Price times tokens is another amount than the charge: add a transfer of kind correction for the difference.",
    ),
    Check(
        name="hold of a training",
        query=f"""
            SELECT 'job ' || j.public_id || ' (' || j.status || ')',
                   CASE WHEN j.status IN {OPEN} THEN 'open ' ELSE 'ended ' END || ceil(j.quote_tokens::numeric * j.price_nano / 1000000)
                     || ', captured ' || j.charge_nano,
                   coalesce(h.status || ' ' || h.amount_nano || ', captured ' || h.captured_nano, 'no hold')
            FROM tuning_tunejob j LEFT JOIN ledger_hold h ON h.id = j.hold_id
            WHERE (j.hold_id IS NULL AND (j.charge_nano <> 0 OR j.status NOT IN ('validating_files', 'failed', 'cancelled')))
               OR (j.hold_id IS NOT NULL
                   AND (h.id IS NULL OR (j.status IN {OPEN}) <> (h.status = 'open') OR h.captured_nano <> j.charge_nano
                        OR h.amount_nano <> ceil(j.quote_tokens::numeric * j.price_nano / 1000000)))""",
        remedy="The job and its hold differ: something other than tuning.actions wrote one of them. Cancel it with tuning.actions.cancel_job.",
    ),
    Check(
        name="transfers of a training",
        query=f"""
            SELECT 'job ' || coalesce(j.public_id, 'of hold ' || t.hold_id),
                   coalesce(j.charge_nano, 0) || ', of it commission ' || coalesce({PLATFORM}, 0),
                   coalesce(t.sum, 0) || ', of it commission ' || coalesce(t.platform, 0)
            FROM tuning_tunejob j FULL JOIN (
                SELECT split_part(key, ':', 2) AS hold_id, sum(amount_nano), sum(amount_nano) FILTER (WHERE kind = 'commission') AS platform
                FROM ledger_transfer WHERE key LIKE 'tune:%' GROUP BY 1
            ) AS t ON t.hold_id = j.hold_id::text
            WHERE coalesce(j.charge_nano, 0) <> coalesce(t.sum, 0) OR coalesce(t.platform, 0) <> coalesce({PLATFORM}, 0)""",
        remedy="The shares of provider, platform and royalties are not the charge: add the transfers that are missing, or corrections.",
    ),
    Check(
        name="royalties of a training",
        query=f"""
            SELECT 'hold ' || coalesce(x.hold_id, t.hold_id) || ', organization ' || coalesce(x.organization_id, t.organization_id),
                   coalesce(x.amount, 0), coalesce(t.amount, 0)
            FROM (SELECT r.hold_id::text AS hold_id, owed.organization_id, owed.amount
                  FROM tuning_tunejob r JOIN ledger_sharesplan s ON s.id = r.shares_id CROSS JOIN LATERAL ({ROYALTIES}) AS owed) AS x
            FULL JOIN (SELECT split_part(t.key, ':', 2) AS hold_id, w.organization_id, sum(t.amount_nano) AS amount
                       FROM ledger_transfer t JOIN ledger_wallet w ON w.id = t.credit_id
                       WHERE t.kind = 'royalty' AND t.key LIKE 'tune:%' GROUP BY 1, 2) AS t
                   ON t.hold_id = x.hold_id AND t.organization_id = x.organization_id
            WHERE coalesce(x.amount, 0) <> coalesce(t.amount, 0)""",
        remedy="The job's plan of shares gives the organization another royalty: add the transfer that is missing, or a correction.",
    ),
    Check(  # of calls and trainings: here, where both are known
        name="use of a budget",
        query=f"""
            SELECT 'budget use ' || u.id, coalesce(taken.sum, 0), u.used_nano
            FROM keys_budgetuse u LEFT JOIN (
                SELECT use_id, sum(amount) FROM (
                    SELECT use_id, CASE WHEN r.status = 'open' THEN h.amount_nano ELSE r.charge_nano END AS amount
                    FROM runs_run r CROSS JOIN unnest(r.budget_uses) AS use_id JOIN ledger_hold h ON h.id = r.hold_id
                    UNION ALL
                    SELECT use_id, CASE WHEN j.status IN {OPEN} THEN h.amount_nano ELSE j.charge_nano END
                    FROM tuning_tunejob j CROSS JOIN unnest(j.budget_uses) AS use_id JOIN ledger_hold h ON h.id = j.hold_id
                ) AS one GROUP BY use_id
            ) AS taken ON taken.use_id = u.id
            WHERE u.used_nano <> coalesce(taken.sum, 0)""",
        remedy="Set keys_budgetuse.used_nano to what is expected, while nothing of the budget's organization opens or ends.",
    ),
)
