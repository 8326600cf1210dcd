"""What keeping runs by months costs and brings, beside one table for all of them: ``python -m bench.months``.

Starts its own Postgres in a temporary folder, with two databases of the same store: in one, runs are a table as before the migration to
months; in the other they are MONTHS months, and a few to come. Both hold the same runs and transfers, written directly, and the same code
asks them. Each row is measured in turns, first one, then the other, and again; the ratio is the middle one of the rounds.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import django
import psutil
import psycopg
from uuid_utils.compat import uuid7

from bench.ledger import CREDIT_NANO, MADE_TOKENS, MAX_TOKENS, PROMPT_TOKENS
from bench.ledger import _cpu_s as cpu_s
from bench.ledger import _start_postgres as start_postgres
from store import embedded
from store.runs.ids import month_of

MONTHS = 24
NOW = datetime.now(UTC)
FIRST, LAST = month_of(NOW, later=1 - MONTHS), month_of(NOW)
BEFORE = ("runs", "0006_included_tokens")
ONE, PARTS = "one", "months"  # databases
CHARGE_NANO, COMMISSION_PPM = 44_000, 150_000  # of PROMPT_TOKENS and MADE_TOKENS
COMMISSION_NANO = CHARGE_NANO * COMMISSION_PPM // 10**6
TICK_MS = 0.001
APART_S = 0.2  # runs of a month, from its begin on
RUNS = f"""
INSERT INTO runs_run (id, hold_id, organization_id, api_key_id, listing_id, release_id, price_id, gateway_id, budget_uses, free_nano, endpoint,
                      status, request_id, is_stream, commission_ppm, prompt_tokens, max_tokens, output_tokens, cached_tokens, charge_nano,
                      finish_reason, error_code, attempts, worker, opened_at, settled_at)
SELECT id, id, %s, %s, %s, %s, (SELECT max(id) FROM catalog_price), %s, '{{}}', 0, 'chat', 'succeeded', 'req', false, {COMMISSION_PPM},
       {PROMPT_TOKENS}, {MAX_TOKENS}, {MADE_TOKENS}, 0, {CHARGE_NANO}, 'stop', '', 1, 'bench', at, at + interval '1 second'
FROM generate_series(%s::timestamptz, %s::timestamptz, interval '1 month') AS month CROSS JOIN generate_series(1, %s) AS n
CROSS JOIN LATERAL (SELECT month + n * interval '{APART_S} seconds' AS at) AS t
CROSS JOIN LATERAL (SELECT (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || lpad(%s::text, 20, '0'))::uuid AS id) AS i
"""
BOOKS = f"""
INSERT INTO ledger_hold (id, wallet_id, amount_nano, captured_nano, status, created_at, expires_at, resolved_at)
SELECT r.id, w.id, {CHARGE_NANO}, {CHARGE_NANO}, 'captured', r.opened_at, r.opened_at + interval '1 hour', r.settled_at
FROM runs_run r JOIN ledger_wallet w ON w.organization_id = r.organization_id AND w.kind = 'credit';
INSERT INTO ledger_transfer (key, debit_id, credit_id, amount_nano, kind, created_at)
SELECT 'run:' || r.id || ':provider', w.id, e.id, {CHARGE_NANO - COMMISSION_NANO}, 'usage', r.settled_at
FROM runs_run r JOIN ledger_wallet w ON w.organization_id = r.organization_id AND w.kind = 'credit', ledger_wallet e WHERE e.kind = 'earnings'
UNION ALL SELECT 'run:' || r.id || ':platform', w.id, p.id, {COMMISSION_NANO}, 'commission', r.settled_at
FROM runs_run r JOIN ledger_wallet w ON w.organization_id = r.organization_id AND w.kind = 'credit', ledger_wallet p WHERE p.kind = 'platform';
UPDATE ledger_wallet w SET posted_nano = coalesce(t.came, 0) - coalesce(t.went, 0), credited_nano = coalesce(t.came, 0)
FROM (SELECT w.id, (SELECT sum(amount_nano) FROM ledger_transfer WHERE credit_id = w.id) AS came,
             (SELECT sum(amount_nano) FROM ledger_transfer WHERE debit_id = w.id) AS went FROM ledger_wallet w) AS t WHERE t.id = w.id
"""
_account: tuple[int, int, int, int]
_gateway_id: UUID
_opened: list[UUID] = []


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1_000_000, help="that are there before anything is measured")
    parser.add_argument("--rounds", type=int, default=9, help="of each row")
    parser.add_argument("--seconds", type=float, default=1.5, help="of opening and settling in each round")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="bench-months-"))
    folder.chmod(0o755)
    os.environ.update(DATA_DIR=str(folder), SECRET_KEY="bench", LOG_LEVEL="WARNING")
    os.environ["DJANGO_SETTINGS_MODULE"] = "store.settings"
    os.environ["DATABASE_URL"] = embedded.database_url(folder)
    server = start_postgres(folder)
    try:
        with _store(folder, ONE, options.runs) as one, _store(folder, PARTS, options.runs) as parts:
            _measure(Table(psutil.Process(server.pid), one, parts), options)
    finally:
        server.terminate()
        server.wait()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _store(folder: Path, database: str, runs: int) -> Iterator[ProcessPoolExecutor]:
    """A process that keeps its connection to a database with so many runs."""
    url = embedded.database_url(folder).replace("/store?", f"/{database}?")
    embedded.create_database(url)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context, initializer=_set_up, initargs=(url,)) as process:
        print(process.submit(_prepare, database == PARTS, runs // MONTHS).result(), flush=True)
        yield process


def _set_up(url: str) -> None:
    os.environ["DATABASE_URL"] = url
    django.setup()


def _prepare(by_months: bool, of_each: int) -> str:
    """Tables, an account, and its runs of MONTHS months."""

    from bench.accounts import make_accounts
    from store.ledger.actions import ensure_wallets, store_wallet
    from store.ledger.models import WalletKind
    from store.runs.actions import heartbeat_gateway

    global _account, _gateway_id
    _migrate(by_months)
    [_account] = make_accounts(1, credit_nano=CREDIT_NANO)
    _gateway_id = uuid7()
    heartbeat_gateway(_gateway_id)
    ensure_wallets([1], WalletKind.EARNINGS)
    store_wallet(WalletKind.PLATFORM)
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as raw:
        raw.execute("SET session_replication_role = replica")
        raw.execute(RUNS, (*_account, _gateway_id, FIRST, LAST, of_each, 1))
        for statement in BOOKS.split(";"):
            raw.execute(statement.encode())
        raw.execute("VACUUM ANALYZE")
        raw.execute("CHECKPOINT")
        [(parts, runs)] = raw.execute(
            "SELECT (SELECT count(*) FROM pg_inherits WHERE inhparent = 'runs_run'::regclass), (SELECT count(*) FROM runs_run)"
        ).fetchall()
    return f"{runs:,} runs in {parts} partitions" if parts else f"{runs:,} runs in one table"


def _migrate(by_months: bool) -> None:
    """With months from FIRST on: as if the store had had them since."""
    from django.db import connection
    from django.db.migrations.executor import MigrationExecutor

    from store.runs.actions import make_months

    executor = MigrationExecutor(connection)
    executor.migrate([BEFORE, *(leaf for leaf in executor.loader.graph.leaf_nodes() if leaf[0] != BEFORE[0])])
    if by_months:
        from django.utils import timezone

        own, timezone.now = timezone.now, lambda: FIRST - timedelta(days=40)
        executor = MigrationExecutor(connection)
        executor.migrate(executor.loader.graph.leaf_nodes())
        timezone.now = own
        make_months(now=LAST)


def _open(batch: int, seconds: float) -> tuple[int, float, float]:
    """How many, and the wall's and this process's seconds."""
    from store.runs.actions import open_runs
    from store.runs.books import OpenedRun, OpenRun
    from store.runs.models import Endpoint

    organization_id, api_key_id, listing_id, release_id = _account
    done, started, cpu = 0, time.perf_counter(), time.process_time()
    while time.perf_counter() < started + seconds:
        ids = [uuid7() for _ in range(batch)]
        opened = open_runs(
            [
                OpenRun(
                    run_id=run_id, organization_id=organization_id, user_id=None, api_key_id=api_key_id, listing_id=listing_id,
                    release_id=release_id, gateway_id=_gateway_id, endpoint=Endpoint.CHAT, request_id="req", is_stream=True,
                    prompt_tokens=PROMPT_TOKENS, max_tokens=MAX_TOKENS, context_left=MAX_TOKENS,
                )
                for run_id in ids
            ]
        )  # fmt: skip
        assert all(isinstance(answer, OpenedRun) for answer in opened), opened[0]
        done += batch
        _opened.extend(ids)
    return done, time.perf_counter() - started, time.process_time() - cpu


def _settle(batch: int) -> tuple[int, float, float]:
    """All that is open, as :func:`_open`."""
    from store.runs.actions import settle_runs
    from store.runs.books import SettleRun
    from store.runs.models import RunStatus

    done, started, cpu = len(_opened), time.perf_counter(), time.process_time()
    while _opened:
        ids = [_opened.pop() for _ in range(batch)]
        settle_runs(
            [
                SettleRun(run_id=run_id, status=RunStatus.SUCCEEDED, output_tokens=MADE_TOKENS, finish_reason="stop")
                for run_id in ids
            ]
        )
    return done, time.perf_counter() - started, time.process_time() - cpu


def _once(what: Callable[[], object]) -> tuple[int, float, float]:
    started, cpu = time.perf_counter(), time.process_time()
    what()
    return 1, time.perf_counter() - started, time.process_time() - cpu


def _count_hour() -> tuple[int, float, float]:
    from store.usage.rollup import rebuild

    return _once(lambda: rebuild(LAST, LAST + timedelta(hours=1)))


def _list_runs() -> tuple[int, float, float]:
    from store.accounts.models import Organization
    from store.console.run_list import run_page, runs_of

    organization = Organization.objects.get(pk=_account[0])
    return _once(lambda: [run_page(runs_of(organization), before=None) for _ in range(20)])


def _audit() -> tuple[int, float, float]:
    from store.ledger.audit import _checks, audit

    for name in ("months of runs", "runs of no month"):  # which are no question of one table
        _checks.pop(name, None)
    started, cpu, found = time.perf_counter(), time.process_time(), audit()
    assert {one.check for one in found} <= {"transfers of a grant"}, (
        found
    )  # an account's credit here is a transfer alone
    return 1, time.perf_counter() - started, time.process_time() - cpu


@dataclass(frozen=True, slots=True)
class Table:
    """Prints a row for each thing that is measured, in turns, in both."""

    server: psutil.Process
    one: ProcessPoolExecutor
    parts: ProcessPoolExecutor

    def rows(self, rounds: int, what: dict[str, tuple[Any, ...]]) -> None:
        """Milliseconds of the wall, of this side's and of Postgres's processors, each for one of what is done; all of ``what`` in each round."""
        for process in (self.one, self.parts):
            for call in what.values():
                process.submit(*call).result()  # plans are made, pages are read
        both: dict[str, list[list[list[float]]]] = {name: [[], []] for name in what}
        for turn in range(rounds):
            for side in (0, 1) if turn % 2 else (1, 0):
                for name, call in what.items():
                    both[name][side].append(self._measured((self.one, self.parts)[side], *call))
        for name, sides in both.items():
            self._print(name, sides)

    def _print(self, name: str, sides: list[list[list[float]]]) -> None:
        cells = ""
        for column in range(3):
            one, parts = ([turn[column] for turn in side] for side in sides)
            ratio = statistics.median(after / max(before, TICK_MS) for before, after in zip(one, parts, strict=True))
            cells += f"{statistics.median(one):>10.3f}{statistics.median(parts):>10.3f}{ratio:>7.2f}"
        print(f"{name:<32}{cells}", flush=True)

    def _measured(self, process: ProcessPoolExecutor, what: Callable[..., Any], *args: Any) -> list[float]:
        before = cpu_s(self.server)
        done, wall, cpu = process.submit(what, *args).result()
        return [1000 * seconds / done for seconds in (wall, cpu, cpu_s(self.server) - before)]


def _measure(table: Table, options: argparse.Namespace) -> None:
    print(f"\n{'ms each':<32}{'wall: one':>10}{'months':>10}{'ratio':>7}{'Python':>10}{'':>17}{'Postgres':>10}")
    for batch in (1, 32, 256):
        table.rows(
            options.rounds,
            {f"open, {batch} at once": (_open, batch, options.seconds), f"settle, {batch} at once": (_settle, batch)},
        )
    table.rows(options.rounds, {"20 times the newest 50 runs": (_list_runs,)})
    table.rows(options.rounds, {"count an hour of usage": (_count_hour,)})
    table.rows(3, {"audit": (_audit,)})


if __name__ == "__main__":
    main()
