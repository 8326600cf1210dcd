"""What every call, every page and the clock ask of runs reads the months that it must, and no other of twenty-four."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.db.models import QuerySet
from django.http import HttpRequest
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework.request import Request

from store.accounts.models import User
from store.api.management.runs import RunViewSet
from store.catalog.earning import TypicalCall
from store.catalog.models import Listing
from store.console.run_list import run_page, runs_of
from store.console.selling import sold
from store.ledger.sql import array, execute
from store.reputation.periods import HOUR
from store.runs.actions import make_months, open_runs, settle_runs
from store.runs.actions.settling import ROWS
from store.runs.books import OpenedRun, ReplayFound, ReplayKey, SettleRun
from store.runs.ids import first_id, month_of
from store.runs.models import Replay, Run, RunStatus
from store.runs.typical import typical_call
from store.usage import rollup
from store.usage.models import CountedHour, UsageBucket, UsageSlice
from store.usage.rollup import roll_up
from tests.store.runs.conftest import RequestMaker
from tests.store.runs.test_months import id_at, months

pytestmark = pytest.mark.django_db
MONTHS, RUNS = 24, 2_000  # of each month: so many that it would be dear to sort them
# Ids follow one another, a minute apart.
FILL = """
INSERT INTO runs_run (id, hold_id, organization_id, api_key_id, listing_id, release_id, price_id, gateway_id, budget_uses, free_nano, endpoint,
                      status, request_id, is_stream, commission_ppm, prompt_tokens, max_tokens, output_tokens, cached_tokens, charge_nano,
                      finish_reason, error_code, attempts, worker, opened_at, settled_at)
SELECT id, id, %s, %s, %s, %s, 1, %s, '{}', 0, 'chat', 'succeeded', 'req', false, 0, 10, 10, 10, 0, 5, 'stop', '', 1, '', at, at
FROM generate_series(%s::timestamptz, %s::timestamptz, interval '1 month') AS month
CROSS JOIN generate_series(1, %s) AS minute CROSS JOIN LATERAL (SELECT month + minute * interval '1 minute' AS at) AS t
CROSS JOIN LATERAL (SELECT (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid AS id) AS i
"""


@pytest.fixture
def now(request_of: RequestMaker, monkeypatch: pytest.MonkeyPatch) -> Iterator[datetime]:
    """A moment in the last of MONTHS months, each of which has runs of the consumer, as the store's own clock has it."""
    first = month_of(timezone.now(), later=2)  # of those that are a month each
    last = month_of(first, later=MONTHS - 1)
    make_months(now=last)
    run = request_of()
    ids = (run.organization_id, run.api_key_id, run.listing_id, run.release_id, run.gateway_id)
    execute(FILL, *ids, first, last, RUNS)
    # What is joined, too: else what the server thinks of it is left from other tests, and so is its plan.
    execute("ANALYZE runs_run, accounts_organization, accounts_membership, accounts_user, catalog_listing, keys_apikey")
    moment = last + timedelta(days=3)
    monkeypatch.setattr(timezone, "now", lambda: moment)
    yield moment
    # No money moved for these runs, and days are not the sums of their hours: the audit at the end of a test would say so.
    Run.objects.filter(request_id="req").delete()
    for counted in (UsageBucket, UsageSlice, CountedHour):
        counted.objects.all().delete()


@contextmanager
def touching(*wanted: str) -> Iterator[None]:
    """Within, these partitions are read and written, and no other."""
    before = _counts()
    yield
    assert {name for name, count in _counts().items() if count > before.get(name, 0)} == set(wanted)


def _counts() -> dict[str, int]:
    """Scans begun and rows written in this transaction, by partition."""
    rows = execute(
        """SELECT relname, coalesce(seq_scan, 0) + coalesce(idx_scan, 0) + n_tup_ins + n_tup_upd FROM pg_stat_xact_user_tables
           WHERE starts_with(relname, 'runs_run_')"""
    )
    return dict(rows)


def part(moment: datetime) -> str:
    return f"runs_run_{moment:%Y_%m}"


def scanned(plan: Any) -> set[str]:
    """The partitions that a plan, as JSON, has read."""
    node = plan[0]["Plan"] if isinstance(plan, list) else plan
    own = {node["Relation Name"]} if node.get("Actual Loops") and "Relation Name" in node else set()
    parts = own.union(*(scanned(child) for child in node.get("Plans", [])))
    return {name for name in parts if name.startswith("runs_run_")}


def asked(page: Callable[[], object]) -> set[str]:
    """The partitions that the statements of a page read."""
    with CaptureQueriesContext(connection) as queries:
        assert page()
    of_runs = [query["sql"] for query in queries if "runs_run" in query["sql"]]
    assert of_runs
    with connection.cursor() as cursor:
        plans = []
        for query in of_runs:
            cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {query}")
            plans.append(cursor.fetchone()[0])
    return set().union(*map(scanned, plans))


def explained(query: str, *params: object, mode: str) -> set[str]:
    """The partitions that a statement reads once it is prepared, and the server plans it for its values, or for any."""
    numbers = iter(range(1, len(params) + 1))
    execute(f"PREPARE asked AS {re.sub('%s', lambda _found: f'${next(numbers)}', query)}")
    execute(f"SET LOCAL plan_cache_mode = '{mode}'")
    values = ", ".join(f"'{value}'" for value in params)
    [(plan,)] = execute(f"EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE asked ({values})")
    execute("DEALLOCATE asked")
    execute("SET LOCAL plan_cache_mode = 'auto'")
    return scanned(plan)


MODES = pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])


def test_opening_and_settling_touch_the_month_of_the_run(now: datetime, request_of: RequestMaker) -> None:
    batch = [request_of(run_id=id_at(now), replay=ReplayKey(key=str(n), body_sha256=bytes(32))) for n in range(20)]
    endings = [
        SettleRun(run_id=one.run_id, status=RunStatus.SUCCEEDED, output_tokens=20, replay_chunks=b"[]") for one in batch
    ]
    with touching(part(now)):
        assert all(isinstance(answer, OpenedRun) for answer in open_runs(batch))
    for ending in endings:  # often enough that the server may keep a plan
        with touching(part(now)):
            assert [settled.now for settled in settle_runs([ending])] == [True]
    Replay.objects.update(created_at=now)
    with touching(part(now)):
        [again] = open_runs([request_of(run_id=id_at(now), replay=batch[0].replay)])
    assert isinstance(again, ReplayFound)
    assert (again.prompt_tokens, again.max_tokens) == (100, 50)


def test_the_runs_that_end_are_found_in_their_months(now: datetime, request_of: RequestMaker) -> None:
    ids = [id_at(now - timedelta(days=days)) for days in (0, 1, 30)]
    open_runs([request_of(run_id=run_id) for run_id in ids])
    assert explained(ROWS, array(ids[:2]), mode="force_custom_plan") == {part(now)}
    both = {part(now), part(month_of(now, later=-1))}
    assert explained(ROWS, array(ids), mode="force_custom_plan") == both
    with touching(*both):
        settle_runs([SettleRun(run_id=run_id, status=RunStatus.FAILED, output_tokens=0) for run_id in ids])


@MODES
def test_an_hour_is_counted_from_its_month(now: datetime, mode: str) -> None:
    hour = month_of(now)
    values = (hour, first_id(hour), first_id(hour + HOUR), hour, hour + HOUR)
    assert explained(rollup.COUNT_HOUR, *values, mode=mode) == {part(hour)}


def test_the_clock_looks_for_the_first_run_in_the_first_months_and_counts_the_last_hours(now: datetime) -> None:
    first = Run.objects.order_by("id")[0]
    early = {months()[-2], part(first.opened_at)}  # what was there before months is the first of them
    assert early == {f"runs_run_before_{first.opened_at:%Y_%m}", part(first.opened_at)}
    assert asked(lambda: roll_up(now=now)) == early
    with touching(part(now)):
        rollup.rebuild(now - timedelta(hours=30), now)


PAGES: dict[str, Callable[[User, Listing], object]] = {
    "runs of an organization": lambda user, _listing: run_page(runs_of(user.personal_organization), before=None),
    "runs of a model": lambda user, listing: run_page(runs_of(user.personal_organization, model=listing), before=None),
    "runs by the API": lambda user, _listing: list(_api(user).order_by("-pk")[:21]),
    "the newest": lambda user, _listing: Run.objects.newest_first().filter(organization__slug="consumer").first(),
}


def _api(user: User) -> QuerySet[Run]:
    view = RunViewSet()
    view.request = Request(HttpRequest())
    view.request.user = user
    return view.get_queryset()


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
def test_a_page_of_the_newest_runs_reads_the_newest_month(
    now: datetime, consumer: User, listing: Listing, page: Callable[[User, Listing], object]
) -> None:
    assert asked(lambda: page(consumer, listing)) == {part(now)}


def test_older_pages_go_on_from_month_to_month(now: datetime, consumer: User) -> None:
    before = first_id(month_of(now) + timedelta(minutes=20))
    read = asked(lambda: run_page(runs_of(consumer.personal_organization), before=before))
    assert read == {part(now), part(month_of(now, later=-1))}


def test_runs_are_listed_however_old_they_are(now: datetime, consumer: User) -> None:
    newest = month_of(now, later=-5)
    Run.objects.filter(id__gte=first_id(month_of(newest, later=1))).delete()
    page = run_page(runs_of(consumer.personal_organization), before=None)
    assert page.runs == list(Run.objects.order_by("-id")[:50])
    assert page.older == page.runs[-1].id
    assert {part(run.opened_at) for run in page.runs} == {part(newest)}
    assert run_page(runs_of(consumer.personal_organization), before=UUID(int=2**128 - 1)) == page
    assert run_page(runs_of(consumer.personal_organization), before=UUID(int=1)).runs == []


def test_what_sold_lately_is_read_from_the_months_of_thirty_days(now: datetime, listing: Listing) -> None:
    [found] = map(vars, sold(listing.organization))
    assert [found[name] for name in ("runs_lately", "charged_lately", "tokens_lately")] == [RUNS, 5 * RUNS, 20 * RUNS]
    assert asked(lambda: list(sold(listing.organization))) == {part(now), part(month_of(now, later=-1))}


def test_a_typical_call_is_that_of_the_newest_months(now: datetime, listing: Listing) -> None:
    Run.objects.filter(id__gte=first_id(month_of(now) + timedelta(minutes=300))).delete()
    assert asked(lambda: typical_call(listing)) == {part(now), part(month_of(now, later=-1))}
    assert typical_call(listing) == TypicalCall(prompt_tokens=10, cached_tokens=0, output_tokens=10)
