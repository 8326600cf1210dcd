"""From runs to figures by the hour and to days on which customers paid: counted again from the rows each time, so nothing is counted twice.

A run belongs to the hour in which it was opened, and is counted once it has ended. Ids of runs sort by time, so an hour is a range of the
primary key. Runs end within minutes of their opening: the clock counts the running hour and the one before, and at night the last
two days again, for runs that a crash left open for longer.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from store.ledger.pricing import PPM
from store.ledger.shares_sql import ROYALTIES
from store.ledger.sql import execute
from store.reputation.histogram import BUCKETS, bucket_sql
from store.reputation.periods import HOUR, hour_of
from store.runs.ids import first_id

LOCK_SPACE = 1_919_250_540  # of hours, among the database's advisory locks
RECENT = 2  # hours that the clock counts again
AGAIN = 48  # hours that are counted again at night


# A run that failed or was cancelled before its first token was charged nothing and used nothing (runs.actions.settling). The provider's
# share is what commission and royalties, each rounded down, leave of the charge, as ledger.shares.split has it.
ENDED = f"""
SELECT listing_id, status = 'failed' AS has_failed, charge_nano, output_tokens, cached_tokens, prompt_tokens,
       status = 'succeeded' OR output_tokens > 0 AS is_used,
       charge_nano - div(charge_nano::numeric * commission_ppm, {PPM})::bigint - royalty_nano AS provider_nano, royalty_nano,
       CASE WHEN first_token_ms IS NOT NULL THEN {bucket_sql("first_token_ms")} END AS waited,
       CASE WHEN status = 'succeeded' AND output_tokens > 1 AND generated_s > 0
            THEN {bucket_sql("(output_tokens - 1) / generated_s")} END AS speed
FROM (SELECT r.*, extract(epoch FROM settled_at - opened_at) - first_token_ms / 1000.0 AS generated_s,
             CASE WHEN s.id IS NULL THEN 0 ELSE (SELECT coalesce(sum(amount), 0)::bigint FROM ({ROYALTIES}) AS owed) END AS royalty_nano
      FROM runs_run r LEFT JOIN ledger_sharesplan s ON s.id = r.shares_id
      WHERE r.id >= %s AND r.id < %s AND status <> 'open') AS run
"""
COUNT_HOUR = f"""
WITH ended AS MATERIALIZED ({ENDED}),
waits AS (SELECT listing_id, waited AS bucket, count(*) AS runs FROM ended WHERE waited IS NOT NULL GROUP BY 1, 2),
speeds AS (SELECT listing_id, speed AS bucket, count(*) AS runs FROM ended WHERE speed IS NOT NULL GROUP BY 1, 2)
INSERT INTO reputation_listinghour (listing_id, hour, calls, failed, paid_calls, prompt_tokens, cached_tokens, output_tokens,
                                    charge_nano, provider_nano, royalty_nano, first_token_ms, tokens_per_s)
SELECT e.listing_id, %s, count(*), count(*) FILTER (WHERE has_failed), count(*) FILTER (WHERE charge_nano > 0),
       coalesce(sum(prompt_tokens) FILTER (WHERE is_used), 0), coalesce(sum(cached_tokens) FILTER (WHERE is_used), 0),
       sum(output_tokens), sum(charge_nano), sum(provider_nano), sum(royalty_nano),
       ARRAY(SELECT coalesce(h.runs, 0) FROM generate_series(0, {BUCKETS - 1}) AS i
             LEFT JOIN waits h ON h.listing_id = e.listing_id AND h.bucket = i ORDER BY i),
       ARRAY(SELECT coalesce(h.runs, 0) FROM generate_series(0, {BUCKETS - 1}) AS i
             LEFT JOIN speeds h ON h.listing_id = e.listing_id AND h.bucket = i ORDER BY i)
FROM ended e GROUP BY e.listing_id
"""
COUNT_ROYALTIES = f"""
INSERT INTO reputation_royaltyhour (organization_id, listing_id, hour, calls, royalty_nano)
SELECT owed.organization_id, r.listing_id, %s, count(*), sum(owed.amount)
FROM runs_run r JOIN ledger_sharesplan s ON s.id = r.shares_id CROSS JOIN LATERAL ({ROYALTIES}) AS owed
WHERE r.id >= %s AND r.id < %s AND r.charge_nano > 0 AND owed.amount > 0 GROUP BY 1, 2
"""


def roll_up(hours: Iterable[datetime] | None = None) -> None:
    """Counts these hours (any moment of each), the running one and the one before by default."""
    now = timezone.now()
    wanted = [now - back * HOUR for back in range(RECENT)] if hours is None else hours
    for hour in sorted({hour_of(moment) for moment in wanted}):
        _count_hour(hour)
        _mark_paid_days(hour)


def roll_up_again() -> None:
    """Counts the last two days anew."""
    now = timezone.now()
    roll_up(now - back * HOUR for back in range(AGAIN))


@transaction.atomic
def _count_hour(hour: datetime) -> None:
    """One at a time for each hour: of two counts that overlap, the later one must be the one that has seen more."""
    execute("SELECT pg_advisory_xact_lock(%s, %s)", LOCK_SPACE, int(hour.timestamp()) // 3600)
    execute("DELETE FROM reputation_listinghour WHERE hour = %s", hour)
    execute(COUNT_HOUR, first_id(hour), first_id(hour + HOUR), hour)
    execute("DELETE FROM reputation_royaltyhour WHERE hour = %s", hour)
    execute(COUNT_ROYALTIES, hour, first_id(hour), first_id(hour + HOUR))


def _mark_paid_days(hour: datetime) -> None:
    """Days are only ever added: a charge is for ever."""
    execute(
        """INSERT INTO reputation_paidday (listing_id, organization_id, day)
           SELECT DISTINCT listing_id, organization_id, (opened_at AT TIME ZONE 'UTC')::date FROM runs_run
           WHERE id >= %s AND id < %s AND charge_nano > 0
           ON CONFLICT DO NOTHING""",
        first_id(hour),
        first_id(hour + HOUR),
    )
