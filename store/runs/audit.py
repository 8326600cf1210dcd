"""What the books of the runs must say; registered with ``ledger.audit``."""

from __future__ import annotations

from store.ledger.audit import Check

SETTLE = "Settle it with runs.actions.settle_runs, or wait for the reaper."
CHARGE = """CASE WHEN r.status = 'open' OR (r.status <> 'succeeded' AND r.output_tokens = 0) THEN 0
    ELSE ceil(((r.prompt_tokens - r.cached_tokens)::numeric * p.input_nano + r.cached_tokens::numeric * p.cached_input_nano
               + r.output_tokens::numeric * p.output_nano) / 1000000) + p.request_nano END"""
PLATFORM = "div(r.charge_nano::numeric * r.commission_ppm, 1000000)"

CHECKS = (
    Check(
        name="charge of a run",
        query=f"""
            SELECT 'run ' || r.id, {CHARGE}, r.charge_nano FROM runs_run r JOIN catalog_price p ON p.id = r.price_id
            WHERE r.charge_nano <> {CHARGE}""",
        remedy="Price times tokens is another amount: add a transfer of kind correction for the difference.",
    ),
    Check(
        name="hold of a run",
        query="""
            SELECT 'run ' || r.id || ' (' || r.status || ')',
                   CASE WHEN r.status = 'open' THEN 'open' ELSE 'captured ' || r.charge_nano END,
                   coalesce(h.status || ' ' || h.captured_nano, 'no hold')
            FROM runs_run r LEFT JOIN ledger_hold h ON h.id = r.hold_id
            WHERE h.id IS NULL OR (r.status = 'open') <> (h.status = 'open') OR h.captured_nano <> r.charge_nano""",
        remedy="The run and its hold ended differently: something other than runs.actions wrote one of them. " + SETTLE,
    ),
    Check(
        name="transfers of a run",
        query=f"""
            SELECT 'run ' || coalesce(r.id::text, t.run_id), coalesce(r.charge_nano - {PLATFORM}, 0) || ' + ' || coalesce({PLATFORM}, 0),
                   coalesce(t.provider, 0) || ' + ' || coalesce(t.platform, 0)
            FROM runs_run r FULL JOIN (
                SELECT split_part(key, ':', 2) AS run_id, sum(amount_nano) FILTER (WHERE kind = 'usage') AS provider,
                       sum(amount_nano) FILTER (WHERE kind = 'commission') AS platform
                FROM ledger_transfer WHERE kind IN ('usage', 'commission') GROUP BY 1
            ) AS t ON t.run_id = r.id::text
            WHERE coalesce(r.charge_nano, 0) <> coalesce(t.provider, 0) + coalesce(t.platform, 0)
               OR coalesce(t.platform, 0) <> coalesce({PLATFORM}, 0)""",
        remedy="The shares of provider and platform are not the charge: add the transfers that are missing, or corrections.",
    ),
    Check(
        name="open runs of a key",
        query="""
            SELECT 'key ' || u.api_key_id, coalesce(r.count, 0), u.open_runs
            FROM keys_keyuse u LEFT JOIN (
                SELECT api_key_id, count(*) FROM runs_run WHERE status = 'open' GROUP BY api_key_id
            ) AS r ON r.api_key_id = u.api_key_id
            WHERE u.open_runs <> coalesce(r.count, 0)""",
        remedy="Set keys_keyuse.open_runs to what is expected, while no run of the key opens or ends.",
    ),
    Check(
        name="use of a budget",
        query="""
            SELECT 'budget use ' || u.id, coalesce(r.sum, 0), u.used_nano
            FROM keys_budgetuse u LEFT JOIN (
                SELECT use_id, sum(CASE WHEN r.status = 'open' THEN h.amount_nano ELSE r.charge_nano END)
                FROM runs_run r CROSS JOIN unnest(r.budget_uses) AS use_id JOIN ledger_hold h ON h.id = r.hold_id
                GROUP BY use_id
            ) AS r ON r.use_id = u.id
            WHERE u.used_nano <> coalesce(r.sum, 0)""",
        remedy="Set keys_budgetuse.used_nano to what is expected, while no run of the key opens or ends.",
    ),
    Check(
        name="answer kept for a run",
        query="""
            SELECT 'replay ' || p.id, 'an answer, or no row', 'no answer' FROM runs_replay p JOIN runs_run r ON r.id = p.run_id
            WHERE p.chunks IS NULL AND r.status <> 'open'""",
        remedy="Delete the row: the run ended, and its Idempotency-Key would be in progress for ever.",
    ),
)
