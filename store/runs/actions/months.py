"""The months of ``runs_run``: each is a partition, made long before its first run.

An id that is of no month lands in the default partition, so that no call is ever refused for want of one. A month is attached in a
transaction that holds the default partition exclusively for a moment; it waits for those who read it no longer than PATIENCE, because
others wait behind it.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from store.ledger.sql import execute
from store.runs.ids import first_id, moment_of, month_of

AHEAD = 3  # months after the running one that are there at least
LOCK_SPACE = 1_919_250_542  # of the making of months, among the database's advisory locks
PATIENCE = "2s"  # for those who use the default partition, such as an audit
# Where the months end: they follow each other without a gap.
END = """
SELECT max(substring(pg_get_expr(c.relpartbound, c.oid) FROM 'TO \\(''([0-9a-f-]+)''\\)'))::uuid
FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'runs_run'::regclass
"""
# Foreign keys of other tables to runs: (table, name, definition).
REFERENCES = """
SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
WHERE contype = 'f' AND conparentid = 0 AND confrelid = 'runs_run'::regclass ORDER BY 1, 2
"""


def make_months(*, now: datetime | None = None, ahead: int = AHEAD) -> list[str]:
    """Makes the months that are missing, up to so many after the running one; returns the names of their tables, none where all are there.

    What landed in the default partition and is of such a month moves into it. Raises OperationalError where others have that partition
    in hand for longer than PATIENCE: the months that were made stay, and the next call makes the others.
    """
    until, made = month_of(now or timezone.now(), later=ahead + 1), []
    while name := _make_next(until):
        made.append(name)
    if made:
        execute("ANALYZE runs_run")  # of the whole: autovacuum looks at its parts alone
    return made


@transaction.atomic
def _make_next(until: datetime) -> str | None:
    """The name of the month that was made; None where the last one ends at ``until`` or later. One at a time: who comes second sees it."""
    execute("SELECT pg_advisory_xact_lock(%s, 0)", LOCK_SPACE)
    [(end,)] = execute(END)
    begins = moment_of(end)
    if begins >= until:
        return None
    name, after = f"runs_run_{begins:%Y_%m}", first_id(month_of(begins, later=1))
    execute("SET CONSTRAINTS ALL IMMEDIATE")
    execute(f"SET LOCAL lock_timeout = '{PATIENCE}'")
    execute("LOCK TABLE runs_run_default IN ACCESS EXCLUSIVE MODE")
    execute(f"CREATE TABLE {name} (LIKE runs_run INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING INDEXES)")
    attach = f"ALTER TABLE runs_run ATTACH PARTITION {name} FOR VALUES FROM ('{end}') TO ('{after}')"
    if _landed(end, after):
        _move(name, end, after, attach)
    else:
        execute(attach)
    return name


def _landed(begin: UUID, end: UUID) -> bool:
    [(found,)] = execute("SELECT EXISTS (SELECT FROM runs_run_default WHERE id >= %s AND id < %s)", begin, end)
    return bool(found)


def _move(name: str, begin: UUID, end: UUID, attach: str) -> None:
    """A row that others refer to cannot leave its partition: so what they refer by is away meanwhile, and proved again."""
    references = execute(REFERENCES)
    for table, key, _definition in references:
        execute(f"ALTER TABLE {table} DROP CONSTRAINT {key}")
    execute(
        f"""WITH landed AS (DELETE FROM runs_run_default WHERE id >= %s AND id < %s RETURNING *)
            INSERT INTO {name} SELECT * FROM landed""",
        begin,
        end,
    )
    execute(attach)
    for table, key, definition in references:
        execute(f"ALTER TABLE {table} ADD CONSTRAINT {key} {definition}")
