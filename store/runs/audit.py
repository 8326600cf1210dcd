"""What the books of the runs must say; registered with ``ledger.audit``."""

from __future__ import annotations

from store.ledger.audit import Check
from store.ledger.shares_sql import ROYALTIES

SETTLE = "Settle it with runs.actions.settle_runs, or wait for the reaper."
CHARGE = """CASE WHEN r.status = 'open' OR (r.status <> 'succeeded' AND r.output_tokens = 0) THEN 0
    ELSE ceil((greatest(r.prompt_tokens - r.cached_tokens - r.included_input, 0)::numeric * p.input_nano
               + least(r.cached_tokens, r.prompt_tokens - r.included_input)::numeric * p.cached_input_nano
               + (r.output_tokens - r.included_output)::numeric * p.output_nano) / 1000000) + p.request_nano END"""
FREE = "CASE WHEN r.status = 'open' THEN 0 ELSE r.free_nano END"
PLATFORM = "div(r.charge_nano::numeric * r.commission_ppm, 1000000)"
OF_A_RUN = "kind IN ('usage', 'commission', 'royalty') AND key LIKE 'run:%'"
# The partitions of runs_run, as [low, high) of the milliseconds that ids begin with; the first one begins before all time.
MILLISECONDS = (
    "('x' || left(translate(substring(bound FROM '{0} \\(''([0-9a-f-]+)''\\)'), '-', ''), 12))::bit(48)::bigint"
)
MONTHS = f"""
SELECT coalesce({MILLISECONDS.format("FROM")}, 0) AS low, {MILLISECONDS.format("TO")} AS high
FROM (SELECT pg_get_expr(c.relpartbound, c.oid) AS bound FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
      WHERE i.inhparent = 'runs_run'::regclass) AS part WHERE bound <> 'DEFAULT'"""
MAKE = "Run manage.py runs months, and look why the clock did not (runs.months, each night)."

CHECKS = (
    Check(
        name="charge of a run",
        query=f"""
            SELECT 'run ' || r.id, {CHARGE}, r.charge_nano + {FREE} FROM runs_run r JOIN catalog_price p ON p.id = r.price_id
            WHERE r.charge_nano + {FREE} <> {CHARGE} OR r.free_nano < 0""",
        remedy="Price times tokens is another amount than the charge and the free part: add a transfer of kind correction for the difference.",
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
            SELECT 'run ' || coalesce(r.id::text, t.run_id), coalesce(r.charge_nano, 0) || ', of it commission ' || coalesce({PLATFORM}, 0),
                   coalesce(t.sum, 0) || ', of it commission ' || coalesce(t.platform, 0)
            FROM runs_run r FULL JOIN (
                SELECT split_part(key, ':', 2) AS run_id, sum(amount_nano), sum(amount_nano) FILTER (WHERE kind = 'commission') AS platform
                FROM ledger_transfer WHERE {OF_A_RUN} GROUP BY 1
            ) AS t ON t.run_id = r.id::text
            WHERE coalesce(r.charge_nano, 0) <> coalesce(t.sum, 0) OR coalesce(t.platform, 0) <> coalesce({PLATFORM}, 0)""",
        remedy="The shares of provider, platform and royalties are not the charge: add the transfers that are missing, or corrections.",
    ),
    Check(
        name="royalties of a run",
        query=f"""
            SELECT 'run ' || coalesce(x.run_id, t.run_id) || ', organization ' || coalesce(x.organization_id, t.organization_id),
                   coalesce(x.amount, 0), coalesce(t.amount, 0)
            FROM (SELECT r.id::text AS run_id, owed.organization_id, owed.amount
                  FROM runs_run r JOIN ledger_sharesplan s ON s.id = r.shares_id CROSS JOIN LATERAL ({ROYALTIES}) AS owed) AS x
            FULL JOIN (SELECT split_part(t.key, ':', 2) AS run_id, w.organization_id, sum(t.amount_nano) AS amount
                       FROM ledger_transfer t JOIN ledger_wallet w ON w.id = t.credit_id
                       WHERE t.kind = 'royalty' AND t.key LIKE 'run:%' GROUP BY 1, 2) AS t
                   ON t.run_id = x.run_id AND t.organization_id = x.organization_id
            WHERE coalesce(x.amount, 0) <> coalesce(t.amount, 0)""",
        remedy="The run's plan of shares gives the organization another royalty: add the transfer that is missing, or a correction.",
    ),
    Check(
        name="plan of a run",
        query="""
            SELECT 'run ' || r.id, 'commission ' || r.commission_ppm || ', the rest to ' || l.organization_id,
                   coalesce('commission ' || s.commission_ppm || ', the rest to ' || s.rest_id, 'no plan')
            FROM runs_run r JOIN catalog_listing l ON l.id = r.listing_id LEFT JOIN ledger_sharesplan s ON s.id = r.shares_id
            WHERE r.shares_id IS NOT NULL AND (s.id IS NULL OR s.commission_ppm <> r.commission_ppm
               OR s.rest_is_royalty <> (s.rest_id <> l.organization_id)
               OR (s.rest_is_royalty AND r.organization_id <> l.organization_id))""",
        remedy="The run was not shared by the plan of its hold: restore the row from a backup, then look at its transfers.",
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
        name="use of a free allowance",
        query="""
            SELECT 'free use ' || u.id, coalesce(r.sum, 0), u.used_nano
            FROM runs_freeuse u LEFT JOIN (
                SELECT free_use_id, sum(free_nano) FROM runs_run WHERE free_use_id IS NOT NULL GROUP BY free_use_id
            ) AS r ON r.free_use_id = u.id
            WHERE u.used_nano <> coalesce(r.sum, 0)""",
        remedy="Set runs_freeuse.used_nano to what is expected, while no run of the organization opens or ends.",
    ),
    Check(
        name="use of a subscription",
        query="""
            SELECT 'period ' || p.id, coalesce(r.input, 0) || ' in, ' || coalesce(r.output, 0) || ' out',
                   p.used_input || ' in, ' || p.used_output || ' out'
            FROM subscriptions_subscriptionperiod p LEFT JOIN (
                SELECT period_id, sum(included_input) AS input, sum(included_output) AS output FROM runs_run
                WHERE period_id IS NOT NULL GROUP BY period_id
            ) AS r ON r.period_id = p.id
            WHERE p.used_input <> coalesce(r.input, 0) OR p.used_output <> coalesce(r.output, 0)""",
        remedy="Set used_input and used_output of the period to what is expected, while no run of the organization opens or ends.",
    ),
    Check(
        name="answer kept for a run",
        query="""
            SELECT 'replay ' || p.id, 'an answer, or no row', 'no answer' FROM runs_replay p JOIN runs_run r ON r.id = p.run_id
            WHERE p.chunks IS NULL AND r.status <> 'open'""",
        remedy="Delete the row: the run ended, and its Idempotency-Key would be in progress for ever.",
    ),
    Check(
        name="months of runs",
        query=f"""
            SELECT 'month ' || to_char(m.begins AT TIME ZONE 'UTC', 'YYYY-MM'), 'a partition of runs_run', 'none'
            FROM (SELECT date_trunc('month', at, 'UTC') AS begins FROM unnest(ARRAY[now(), now() + interval '1 month']) AS at) AS m
            WHERE NOT EXISTS (SELECT FROM ({MONTHS}) AS p WHERE extract(epoch FROM m.begins) * 1000 >= p.low
                              AND extract(epoch FROM m.begins) * 1000 < p.high)""",
        remedy="Its runs will land in the default partition, and be slow to find. " + MAKE,
    ),
    Check(
        name="runs of no month",
        query="SELECT 'table runs_run_default', 'no row', count(*) || ', the first of them run ' || min(id::text) FROM runs_run_default HAVING count(*) > 0",
        remedy="Ids of a month that was not made, or of a clock that is wrong: set the clock of the gateways right. Making their months "
        "moves them. " + MAKE,
    ),
)
