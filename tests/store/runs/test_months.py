"""Runs are kept by months: made ahead, found without reading the others, and never refused for want of one."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from io import StringIO
from uuid import UUID

import pytest
from django.core.management import call_command
from django.db import IntegrityError, OperationalError, connection, connections, transaction
from django.utils import timezone
from uuid_utils.compat import uuid7

from store.ledger.audit import audit
from store.runs.actions import make_months, open_runs, settle_runs
from store.runs.actions import months as making
from store.runs.books import OpenedRun, ReplayFound, ReplayKey, SettleRun
from store.runs.ids import first_id, moment_of, month_of
from store.runs.models import Replay, Run, RunStatus
from tests.store.runs.conftest import RequestMaker

pytestmark = pytest.mark.django_db


def id_at(moment: datetime) -> UUID:
    return UUID(int=first_id(moment).int | uuid7().int & (2**80 - 1))


def months() -> list[str]:
    """The partitions, by name."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'runs_run'::regclass ORDER BY 1"
        )
        return [name for (name,) in cursor.fetchall()]


def kept_in(run_id: UUID) -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT tableoid::regclass::text FROM runs_run WHERE id = %s", [run_id])
        [(name,)] = cursor.fetchall()
        return str(name)


def found_by(check: str) -> list[tuple[str, str, str]]:
    return [(one.row, one.expected, one.found) for one in audit() if one.check == check]


@pytest.mark.parametrize(
    ("moment", "later", "begins"),
    [("2026-12-31T23:59:59", 0, "2026-12-01"), ("2026-12-31T23:59:59", 1, "2027-01-01"), ("2026-02-01", 22, "2027-12-01"), ("2026-02-01", 23, "2028-01-01")],
)  # fmt: skip
def test_months_begin_where_the_calendar_says(moment: str, later: int, begins: str) -> None:
    found = month_of(datetime.fromisoformat(f"{moment}+00:00"), later=later)
    assert found == datetime.fromisoformat(f"{begins}T00:00:00+00:00") == moment_of(first_id(found))


def test_three_months_are_there_before_anybody_asks() -> None:
    assert make_months() == []
    assert f"runs_run_{month_of(timezone.now(), later=3):%Y_%m}" in months()


def test_months_are_made_once_and_follow_each_other() -> None:
    before, now = months(), month_of(timezone.now(), later=11)
    made = make_months(now=now)
    assert made == [f"runs_run_{month_of(timezone.now(), later=later):%Y_%m}" for later in range(4, 15)]
    assert months() == sorted([*before, *made])
    assert make_months(now=now) == []
    out = StringIO()
    call_command("runs", "months", stdout=out, skip_checks=True)
    assert "All months are there." in out.getvalue()


def test_a_month_has_what_the_others_have() -> None:
    with connection.cursor() as cursor:
        [name] = make_months(ahead=4)
        cursor.execute(
            """SELECT t.name, (SELECT array_agg(pg_get_constraintdef(oid) ORDER BY 1) FROM pg_constraint WHERE conrelid = t.name::regclass),
                      (SELECT array_agg(regexp_replace(pg_get_indexdef(indexrelid), '.* USING ', '') ORDER BY 1) FROM pg_index
                       WHERE indrelid = t.name::regclass AND indisvalid)
               FROM unnest(%s::text[]) AS t(name)""",
            [["runs_run", name, "runs_run_default", months()[2]]],
        )
        parent, *parts = [(sorted(constraints), sorted(indexes)) for _name, constraints, indexes in cursor.fetchall()]
    assert len(parent[1]) == 5
    assert all(part == parent for part in parts)


@pytest.mark.django_db(transaction=True)
def test_two_at_once_make_each_month_once() -> None:
    def make(_turn: int) -> list[str]:
        try:
            return make_months(ahead=6)
        finally:
            connections.close_all()

    try:
        with ThreadPoolExecutor(4) as threads:
            made = [name for names in threads.map(make, range(4)) for name in names]
        assert sorted(made) == sorted(set(made))
        assert len(made) == 3
        assert set(made) <= set(months())
    finally:
        _drop(made)


def _drop(names: list[str]) -> None:
    """Takes away months that were made for good."""
    with connection.cursor() as cursor:
        for name in names:
            cursor.execute(f"ALTER TABLE runs_run DETACH PARTITION {name}")
            cursor.execute(f"DROP TABLE {name}")


@pytest.mark.django_db(transaction=True)
def test_a_month_waits_for_readers_no_longer_than_its_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(making, "PATIENCE", "50ms")
    before = months()
    with transaction.atomic(), ThreadPoolExecutor(1) as threads:
        assert not Run.objects.exists()  # whoever reads all runs has all partitions in hand
        with pytest.raises(OperationalError, match="lock timeout"):
            threads.submit(make_months, ahead=4).result()
        threads.submit(connections.close_all).result()
    assert months() == before


def test_an_id_of_no_month_is_not_refused_and_its_run_moves_when_its_month_is_made(request_of: RequestMaker) -> None:
    later = month_of(timezone.now(), later=5) + timedelta(days=3)
    far, near = (
        request_of(run_id=id_at(moment), replay=ReplayKey(key=str(moment), body_sha256=bytes(32)))
        for moment in (later + timedelta(days=2000), later)
    )
    assert all(isinstance(answer, OpenedRun) for answer in open_runs([far, near]))
    assert kept_in(near.run_id) == kept_in(far.run_id) == "runs_run_default"
    assert found_by("runs of no month") == [
        ("table runs_run_default", "no row", f"2, the first of them run {near.run_id}")
    ]
    settle_runs([SettleRun(run_id=near.run_id, status=RunStatus.SUCCEEDED, output_tokens=20, replay_chunks=b"[]")])
    row = Run.objects.filter(pk=near.run_id).values().get()
    make_months(ahead=6)
    assert kept_in(near.run_id) == f"runs_run_{later:%Y_%m}"
    assert Run.objects.filter(pk=near.run_id).values().get() == row
    assert Replay.objects.count() == 2
    [again] = open_runs([request_of(replay=near.replay)])
    assert isinstance(again, ReplayFound)
    assert again.run_id == near.run_id
    make_months(now=later + timedelta(days=2000))
    assert kept_in(far.run_id) == f"runs_run_{later + timedelta(days=2000):%Y_%m}"
    settle_runs([SettleRun(run_id=far.run_id, status=RunStatus.CANCELLED, output_tokens=3)])


def test_what_refers_to_a_run_is_still_checked_after_a_move(request_of: RequestMaker) -> None:
    later = month_of(timezone.now(), later=4)
    open_runs([request_of(run_id=id_at(later), replay=ReplayKey(key="a", body_sha256=bytes(32)))])
    make_months(ahead=4)
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        with pytest.raises(IntegrityError, match="still referenced"), transaction.atomic():
            cursor.execute("DELETE FROM runs_run")


def test_the_audit_names_the_month_that_is_missing() -> None:
    assert audit() == []
    _drop([name for name in months() if name not in ("runs_run_default", months()[2])])
    begins = month_of(timezone.now(), later=2)
    assert audit() == []  # of the month after next nobody needs a partition yet
    _drop([months()[0]])
    wanted = [month_of(begins, later=-2), month_of(begins, later=-1)]
    assert found_by("months of runs") == [(f"month {one:%Y-%m}", "a partition of runs_run", "none") for one in wanted]
