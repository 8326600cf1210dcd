"""What runs and trainings come to, as SQL: one text for those who count and for those who check what was counted."""

from __future__ import annotations

from store.reputation.histogram import bucket_sql, packed_sql

DIMENSIONS = "organization_id, member_id, api_key_id, listing_id, kind"
COUNTS = (
    "calls",
    "trainings",
    "failed",
    "input_tokens",
    "cached_tokens",
    "output_tokens",
    "training_tokens",
    "charge_nano",
)
VALUES = f"{', '.join(COUNTS)}, first_token_ms"

# A run that failed or was cancelled before its first token was charged nothing and used nothing (runs.actions.settling). Partial sums for
# each bucket of the histogram come first, so that the histograms are made from few rows.
_RUNS = f"""
SELECT {{hour}} AS starts_at, r.organization_id, coalesce(r.user_id, k.created_by_id) AS member_id, r.api_key_id, r.listing_id, r.endpoint AS kind,
       CASE WHEN r.first_token_ms IS NOT NULL THEN {bucket_sql("r.first_token_ms")} END AS waited,
       count(*) AS calls, 0 AS trainings, count(*) FILTER (WHERE r.status = 'failed') AS failed,
       coalesce(sum(r.prompt_tokens - r.cached_tokens) FILTER (WHERE r.status = 'succeeded' OR r.output_tokens > 0), 0) AS input_tokens,
       coalesce(sum(r.cached_tokens) FILTER (WHERE r.status = 'succeeded' OR r.output_tokens > 0), 0) AS cached_tokens,
       sum(r.output_tokens) AS output_tokens, 0 AS training_tokens, sum(r.charge_nano) AS charge_nano
FROM runs_run r LEFT JOIN keys_apikey k ON k.id = r.api_key_id WHERE r.status <> 'open' AND {{runs}} GROUP BY 1, 2, 3, 4, 5, 6, 7
"""
_TRAININGS = """
SELECT date_trunc('hour', j.finished_at, 'UTC'), j.organization_id, j.created_by_id, j.api_key_id, b.listing_id, 'training', NULL,
       0, count(*), count(*) FILTER (WHERE j.status = 'failed'), 0, 0, 0, sum(j.charged_tokens), sum(j.charge_nano)
FROM tuning_tunejob j LEFT JOIN catalog_release b ON b.id = j.base_id
WHERE j.hold_id IS NOT NULL AND {trainings} GROUP BY 1, 2, 3, 4, 5
"""


def counted(*, hour: str, runs: str, trainings: str) -> str:
    """Rows (starts_at, DIMENSIONS, VALUES). ``hour`` is that of a run ``r``; the others choose runs ``r`` and jobs ``j``."""
    sums = ", ".join(f"sum({name})::bigint AS {name}" for name in COUNTS)
    return f"""
        SELECT starts_at, {DIMENSIONS}, {sums}, {packed_sql("calls", "waited")} AS first_token_ms
        FROM ({_RUNS.format(hour=hour, runs=runs)} UNION ALL {_TRAININGS.format(trainings=trainings)}) AS part
        GROUP BY starts_at, {DIMENSIONS}"""


def summed(*, where: str) -> str:
    """The rows of whole days, from those of hours ``h``."""
    sums = ", ".join(f"sum(h.{name})::bigint AS {name}" for name in COUNTS)
    return f"""
        SELECT date_trunc('day', h.starts_at, 'UTC') AS starts_at, {DIMENSIONS}, {sums}, sum(h.first_token_ms) AS first_token_ms
        FROM usage_usagebucket h WHERE h.grain = 'hour' AND {where} GROUP BY 1, {DIMENSIONS}"""


SLICED = f"dimension, grain, starts_at, {DIMENSIONS}, {VALUES}"


def sliced(*, where: str) -> str:
    """Rows (SLICED) of the slices of buckets ``b``: all together, and by each dimension alone."""
    sums = ", ".join(f"sum(b.{name})::bigint AS {name}" for name in COUNTS)
    return f"""
        SELECT CASE GROUPING(b.listing_id, b.api_key_id, b.member_id, b.kind)
                    WHEN 15 THEN 'none' WHEN 7 THEN 'listing' WHEN 11 THEN 'key' WHEN 13 THEN 'member' ELSE 'kind' END AS dimension,
               b.grain, b.starts_at, b.organization_id, b.member_id, b.api_key_id, b.listing_id, coalesce(b.kind, '') AS kind,
               {sums}, sum(b.first_token_ms) AS first_token_ms
        FROM usage_usagebucket b WHERE {where}
        GROUP BY b.grain, b.starts_at, b.organization_id,
                 GROUPING SETS ((), (b.listing_id), (b.api_key_id), (b.member_id), (b.kind))"""
