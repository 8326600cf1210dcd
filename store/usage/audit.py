"""What the buckets of usage must say; registered with ``ledger.audit``."""

from __future__ import annotations

from store.ledger.audit import Check
from store.usage.counting_sql import COUNTS, DIMENSIONS, counted, sliced, summed

# The hour of a run is that of its id, whose first 48 bits are milliseconds.
HOUR_OF_ID = "to_timestamp(('x' || translate(left(r.id::text, 13), '-', ''))::bit(48)::bigint / 3600000 * 3600)"
FINAL = "(SELECT hour FROM usage_countedhour WHERE is_final)"
REBUILD = "Count it again: manage.py usage rebuild SINCE UNTIL."
# A bucket in words; of the histogram a fingerprint.
WORDS = f"""concat_ws(', ', {", ".join(f"'{name} ' || {name}" for name in COUNTS)},
    'first tokens ' || left(md5(first_token_ms::text), 8))"""
NAME = f"""concat_ws(', ', to_char(starts_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI'),
    {", ".join(f"'{name.removesuffix('_id')} ' || {name}" for name in DIMENSIONS.split(", "))})"""


def _differing(grain: str, expected: str, found: str) -> str:
    """(bucket, expected, found) of the buckets that are not what they should be, that are missing, or that should not be. ``grain`` is SQL."""
    return f"""
        SELECT grain || ' ' || {NAME}, coalesce(expected, 'no bucket'), coalesce(found, 'no bucket')
        FROM (SELECT grain, starts_at, {DIMENSIONS}, max(words) FILTER (WHERE is_expected) AS expected, max(words) FILTER (WHERE NOT is_expected) AS found
              FROM (SELECT {grain} AS grain, starts_at, {DIMENSIONS}, {WORDS} AS words, true AS is_expected FROM ({expected}) AS x
                    UNION ALL
                    SELECT {grain}, starts_at, {DIMENSIONS}, {WORDS}, false FROM ({found}) AS f) AS both_sides
              GROUP BY grain, starts_at, {DIMENSIONS}) AS pair
        WHERE expected IS DISTINCT FROM found"""


CHECKS = (
    Check(  # hours that are not final are still being counted
        name="usage of an hour",
        query=_differing(
            "'hour'",
            counted(
                hour=HOUR_OF_ID,
                runs=f"{HOUR_OF_ID} IN {FINAL}",
                trainings=f"date_trunc('hour', j.finished_at, 'UTC') IN {FINAL}",
            ),
            f"SELECT * FROM usage_usagebucket WHERE grain = 'hour' AND starts_at IN {FINAL}",
        ),
        remedy="The bucket is not what its runs and trainings come to. " + REBUILD,
    ),
    Check(
        name="usage of a day",
        query=_differing("'day'", summed(where="true"), "SELECT * FROM usage_usagebucket WHERE grain = 'day'"),
        remedy="The bucket is not the sum of its hours. " + REBUILD,
    ),
    Check(
        name="usage of a slice",
        query=_differing("grain || ' ' || dimension", sliced(where="true"), "SELECT * FROM usage_usageslice"),
        remedy="The slice is not the sum of its buckets. " + REBUILD,
    ),
)
