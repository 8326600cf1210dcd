"""The migration to months: a table that holds runs becomes one of parts, with all that was in it and all that kept it right."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from importlib import import_module
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone
from uuid_utils.compat import uuid7

from store.ledger.audit import audit
from store.runs.actions import open_runs, settle_runs
from store.runs.books import ReplayFound, ReplayKey, SettleRun
from store.runs.ids import month_of
from store.runs.models import Replay, Run, RunStatus
from tests.store.runs.conftest import RequestMaker
from tests.store.runs.test_months import found_by, id_at, kept_in, months

pytestmark = pytest.mark.django_db
migration = import_module("store.runs.migrations.0007_months")

CONSTRAINTS = """
SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint
WHERE (conrelid = 'runs_run'::regclass OR confrelid = 'runs_run'::regclass AND conparentid = 0) AND convalidated ORDER BY 1"""
INDEXES = "SELECT indexname, replace(indexdef, ' ONLY ', ' ') FROM pg_indexes WHERE tablename = 'runs_run' ORDER BY 1"
COLUMNS = "SELECT column_name, data_type, is_nullable, column_default FROM information_schema.columns WHERE table_name = 'runs_run' ORDER BY ordinal_position"
UNIQUE_HOLD = "runs_run_hold_id_key"


def ask(query: str) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query)
        return list(cursor.fetchall()) if cursor.description else []


@pytest.fixture
def as_it_was() -> None:
    """One plain table, with the names and the constraints that migrations up to 0006 gave it."""
    ask("SET CONSTRAINTS ALL IMMEDIATE")
    references, [old] = ask(migration.REFERENCES), [name for name in months() if "before" in name]
    for table, name, _definition in references:
        ask(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
    ask(f"ALTER TABLE runs_run DETACH PARTITION {old}")
    ask("DROP TABLE runs_run")
    ask(f"ALTER TABLE {old} RENAME TO runs_run")
    suffix = old.removeprefix("runs_run_")
    for name, _definition, _is_primary in ask(migration.INDEXES):
        ask(f"ALTER INDEX {name} RENAME TO {name.removesuffix(f'_{suffix}')}")
    ask(f"ALTER TABLE runs_run DROP CONSTRAINT {migration.HOLD}, ADD CONSTRAINT {UNIQUE_HOLD} UNIQUE (hold_id)")
    for table, name, definition in references:
        ask(f"ALTER TABLE {table} ADD CONSTRAINT {name} {definition}")


@pytest.fixture
def notices() -> Iterator[list[str]]:
    """What the server says of its work."""
    said: list[str] = []

    def hear(notice: Any) -> None:
        said.append(notice.message_primary)

    connection.ensure_connection()
    raw = connection.connection
    raw.add_notice_handler(hear)
    ask("SET LOCAL client_min_messages = debug1")
    yield said
    raw.remove_notice_handler(hear)


def migrate() -> None:
    ask("SET CONSTRAINTS ALL IMMEDIATE")
    with connection.schema_editor(atomic=False) as editor:
        migration.prove(None, editor)
        migration.partition(None, editor)


def test_rows_and_what_keeps_them_right_stay(as_it_was: None, request_of: RequestMaker, notices: list[str]) -> None:
    now = timezone.now()
    batch = [
        request_of(run_id=id_at(moment), replay=ReplayKey(key=str(moment), body_sha256=bytes(32)))
        for moment in (now - timedelta(days=700), now - timedelta(days=1), now, month_of(now, later=1))
    ]
    open_runs(batch)
    settle_runs([SettleRun(run_id=batch[2].run_id, status=RunStatus.SUCCEEDED, output_tokens=20, replay_chunks=b"[]")])
    before = [ask(query) for query in (CONSTRAINTS, INDEXES, COLUMNS)]
    rows, replays = list(Run.objects.order_by("id").values()), list(Replay.objects.order_by("id").values())
    migrate()
    old = f"runs_run_before_{month_of(now, later=2):%Y_%m}"
    assert {kept_in(one.run_id) for one in batch} == {old}
    assert f'partition constraint for table "{old}" is implied by existing constraints' in notices
    constraints, indexes, columns = (ask(query) for query in (CONSTRAINTS, INDEXES, COLUMNS))
    assert set(before[0]) - set(constraints) == {(UNIQUE_HOLD, "UNIQUE (hold_id)")}
    assert set(constraints) - set(before[0]) == {(migration.HOLD, "CHECK ((hold_id = id))")}
    assert [index for index in before[1] if index[0] != UNIQUE_HOLD] == indexes
    assert columns == before[2]
    assert list(Run.objects.order_by("id").values()) == rows
    assert list(Replay.objects.order_by("id").values()) == replays
    assert months() == [*(f"runs_run_{month_of(now, later=n):%Y_%m}" for n in (2, 3)), old, "runs_run_default"]
    _runs_go_on(request_of, batch[2].replay)


def _runs_go_on(request_of: RequestMaker, replay: ReplayKey | None) -> None:
    [again] = open_runs([request_of(replay=replay)])
    assert isinstance(again, ReplayFound)
    ended = [
        SettleRun(run_id=run.pk, status=RunStatus.FAILED, output_tokens=0) for run in Run.objects.filter(status="open")
    ]
    assert all(settled.now for settled in settle_runs(ended))
    assert audit() == []


def test_it_can_be_begun_again(as_it_was: None, request_of: RequestMaker) -> None:
    open_runs([request_of()])
    ask("SET CONSTRAINTS ALL IMMEDIATE")
    with connection.schema_editor(atomic=False) as editor:
        migration.prove(None, editor)  # and then the power went
    migrate()
    found = months()
    migrate()
    assert months() == found
    assert Run.objects.count() == 1


def test_a_run_whose_clock_was_wrong_is_put_aside(as_it_was: None, request_of: RequestMaker) -> None:
    far = request_of(
        run_id=id_at(datetime(2222, 2, 2, tzinfo=timezone.now().tzinfo)),
        replay=ReplayKey(key="a", body_sha256=bytes(32)),
    )
    open_runs([far, request_of()])
    migrate()
    assert kept_in(far.run_id) == "runs_run_default"
    assert Replay.objects.get().run_id == far.run_id
    assert [row for row, _expected, _found in found_by("runs of no month")] == ["table runs_run_default"]
    Replay.objects.all().delete()
    settle_runs([SettleRun(run_id=far.run_id, status=RunStatus.FAILED, output_tokens=0)])
    Run.objects.filter(pk=far.run_id).delete()


def test_a_run_has_the_id_of_its_hold(request_of: RequestMaker) -> None:
    request = request_of()
    open_runs([request])
    with pytest.raises(IntegrityError, match="run_hold_has_its_id"), transaction.atomic():
        Run.objects.filter(pk=request.run_id).update(hold_id=uuid7())
