"""The table of runs becomes one of months, by the time in their ids, so that its indexes stay as small as a month is.

The table that is there becomes the partition of all that is before the month after next. That it holds nothing else is a CHECK which is
validated first, while runs open and end: the swap itself, under an exclusive lock, reads no row of it. Months that follow are made by
``runs.actions.months``. There is nothing to reverse: the code of before works on either table.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.db import migrations, models, transaction
from django.utils import timezone

AHEAD = 3  # months after this one that are there when it is done
STRAYS = "SELECT EXISTS (SELECT FROM runs_run WHERE id >= %s::uuid)"
HOLD = "run_hold_has_its_id"
EARLY = "run_is_early"  # there until the table is a partition
# What other tables ask of runs: (table, name, definition) of their foreign keys; and the own ones.
REFERENCES = """
SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
WHERE contype = 'f' AND conparentid = 0 AND confrelid = 'runs_run'::regclass ORDER BY 1, 2"""
FOREIGN_KEYS = """
SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE contype = 'f' AND conrelid = 'runs_run'::regclass ORDER BY 1"""
UNIQUE = "SELECT conname FROM pg_constraint WHERE contype = 'u' AND conrelid = 'runs_run'::regclass"  # that of the hold
INDEXES = """
SELECT c.relname, pg_get_indexdef(c.oid), i.indisprimary FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
WHERE i.indrelid = 'runs_run'::regclass ORDER BY 1"""


def begin_of(months: int) -> datetime:
    """Of the month that is so many after this one."""
    now = timezone.now().astimezone(UTC)
    years, month = divmod(now.month - 1 + months, 12)
    return datetime(now.year + years, month + 1, 1, tzinfo=UTC)


def bound(moment: datetime) -> str:
    """The least id of a moment."""
    return f"'{int(moment.timestamp() * 1000):012x}{0:020x}'"


def ask(editor: Any, query: str, *params: object) -> list[tuple[Any, ...]]:
    with editor.connection.cursor() as cursor:
        cursor.execute(query, params)
        return list(cursor.fetchall()) if cursor.description else []


def is_partitioned(editor: Any) -> bool:
    return ask(editor, "SELECT relkind = 'p' FROM pg_class WHERE oid = 'runs_run'::regclass") == [(True,)]


def prove(_apps: object, editor: Any) -> None:
    """What the swap takes for granted becomes CHECKs, validated while the table is in use."""
    if is_partitioned(editor):
        return
    end = bound(begin_of(2))
    checks = {HOLD: "hold_id = id", EARLY: f"id < {end}"}
    if ask(editor, STRAYS, end.strip("'")) == [(True,)]:  # of a clock that is wrong: the swap puts them aside
        del checks[EARLY]
    for name, condition in checks.items():
        ask(editor, f"ALTER TABLE runs_run DROP CONSTRAINT IF EXISTS {name}")  # of an attempt that was broken off
        ask(editor, f"ALTER TABLE runs_run ADD CONSTRAINT {name} CHECK ({condition}) NOT VALID")
        ask(editor, f"ALTER TABLE runs_run VALIDATE CONSTRAINT {name}")


def partition(_apps: object, editor: Any) -> None:
    """The swap: what is there is renamed, and becomes a part of a table that is as it was."""
    if is_partitioned(editor):
        return
    with transaction.atomic(using=editor.connection.alias):
        ask(editor, "SET CONSTRAINTS ALL IMMEDIATE")
        ask(editor, "LOCK TABLE runs_run, runs_replay IN ACCESS EXCLUSIVE MODE")
        references, foreign_keys, end = ask(editor, REFERENCES), ask(editor, FOREIGN_KEYS), begin_of(2)
        for table, name, _definition in references:
            ask(editor, f"ALTER TABLE {table} DROP CONSTRAINT {name}")
        old = f"runs_run_before_{end:%Y_%m}"
        indexes = _rename(editor, old, f"before_{end:%Y_%m}")
        ask(
            editor,
            f"CREATE TABLE runs_run (LIKE {old} INCLUDING DEFAULTS INCLUDING CONSTRAINTS, PRIMARY KEY (id)) PARTITION BY RANGE (id)",
        )
        ask(editor, f"ALTER TABLE runs_run DROP CONSTRAINT IF EXISTS {EARLY}")
        for definition in indexes:
            ask(editor, definition)
        for name, definition in foreign_keys:
            ask(editor, f"ALTER TABLE runs_run ADD CONSTRAINT {name} {definition}")
        _attach(editor, old, end)
        for table, name, definition in references:
            ask(editor, f"ALTER TABLE {table} ADD CONSTRAINT {name} {definition}")
    ask(editor, "ANALYZE runs_run")  # of the whole: nobody else makes statistics of a table that is parts


def _rename(editor: Any, old: str, suffix: str) -> list[str]:
    """Gives the table and its indexes other names, and takes away what cannot be unique across months. Returns what makes the indexes anew."""
    for (name,) in ask(editor, UNIQUE):
        ask(editor, f"ALTER TABLE runs_run DROP CONSTRAINT {name}")
    indexes = ask(editor, INDEXES)
    ask(editor, f"ALTER TABLE runs_run RENAME TO {old}")
    for name, _definition, _is_primary in indexes:
        ask(editor, f"ALTER INDEX {name} RENAME TO {name}_{suffix}")
    return [definition for _name, definition, is_primary in indexes if not is_primary]


def _attach(editor: Any, old: str, end: datetime) -> None:
    """The parts: what was there, the months that follow, and a place for every other id."""
    ask(editor, "CREATE TABLE runs_run_default (LIKE runs_run INCLUDING ALL)")
    ask(
        editor,
        f"""WITH strays AS (DELETE FROM {old} WHERE id >= {bound(end)} RETURNING *)
            INSERT INTO runs_run_default SELECT * FROM strays""",
    )
    ask(editor, f"ALTER TABLE runs_run ATTACH PARTITION {old} FOR VALUES FROM (MINVALUE) TO ({bound(end)})")
    ask(editor, f"ALTER TABLE {old} DROP CONSTRAINT IF EXISTS {EARLY}")
    for later in range(2, AHEAD + 1):
        begins, ends = begin_of(later), begin_of(later + 1)
        ask(
            editor,
            f"""CREATE TABLE runs_run_{begins:%Y_%m} PARTITION OF runs_run FOR VALUES FROM ({bound(begins)}) TO ({bound(ends)})""",
        )
    ask(editor, "ALTER TABLE runs_run ATTACH PARTITION runs_run_default DEFAULT")


class Migration(migrations.Migration):
    atomic = False  # the swap waits for nobody, and nobody for a scan
    dependencies = [("runs", "0006_included_tokens")]
    operations = [
        migrations.RunPython(prove, migrations.RunPython.noop),
        migrations.SeparateDatabaseAndState(
            [migrations.RunPython(partition, migrations.RunPython.noop)],
            [
                migrations.AddConstraint(
                    model_name="run",
                    constraint=models.CheckConstraint(
                        condition=models.Q(("hold", models.F("id"))), name="run_hold_has_its_id"
                    ),
                )
            ],
        ),
    ]
