"""Authorize and settle pairs per second, durable: ``python -m bench.ledger``.

Starts its own Postgres in a temporary folder, as ``make up`` starts it (fsync on, every commit durable), and drives ``open_runs`` and
``settle_runs`` through group commit as the gateway does: every run is opened, then settled, then the next one begins. One hot wallet, then
a thousand; one process, then two. Ends with the audit of all that it did. The load shares the machine with the server.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import itertools
import multiprocessing
import os
import pstats
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

import django
import psutil
from uuid_utils.compat import uuid7

from store import embedded

if TYPE_CHECKING:  # Django is set up in the children, when the server is there: they import the store's models
    from store.runs.books import OpenAnswer, OpenRun, SettledRun, SettleRun
    from store.runs.group_commit import GroupCommit

WALLETS = 1000
CREDIT_NANO = 10_000 * 10**9
BUDGET_NANO = 10**15
PROMPT_TOKENS, MAX_TOKENS, MADE_TOKENS = 200, 100, 60


@dataclass(frozen=True, slots=True)
class Account:
    """Who pays, and for what."""

    organization_id: int
    api_key_id: int
    listing_id: int
    release_id: int


@dataclass(slots=True)
class Times:
    """Seconds that each open and each settle took, all of them together, and of the process's CPU."""

    opens: list[float] = field(default_factory=list)
    settles: list[float] = field(default_factory=list)
    seconds: float = 0.0
    cpu_s: float = 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=8, help="how long each row is measured")
    parser.add_argument("--in-flight", type=int, default=512, help="runs under way at once, over all processes")
    parser.add_argument("--budgets", action="store_true", help="give every key a daily and a total budget")
    parser.add_argument("--profile", action="store_true", help="print where the committing threads spend their time")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="bench-ledger-"))
    folder.chmod(0o755)
    os.environ.update(
        DATA_DIR=str(folder), DATABASE_URL=embedded.database_url(folder), SECRET_KEY="bench", LOG_LEVEL="WARNING"
    )
    os.environ["DJANGO_SETTINGS_MODULE"] = "store.settings"
    server = _start_postgres(folder)
    try:
        _measure_all(psutil.Process(server.pid), options)
    finally:
        server.terminate()
        server.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _start_postgres(folder: Path) -> subprocess.Popen[bytes]:
    embedded.prepare_postgres(folder)
    command, user = embedded.postgres_command(folder), embedded.postgres_user()
    with open(folder / "postgres.log", "ab") as log:
        server = subprocess.Popen(command, user=user, cwd="/", stdout=log, stderr=log, start_new_session=True)
    embedded.wait_for_postgres(embedded.database_url(folder))
    embedded.create_database(embedded.database_url(folder))
    return server


def _measure_all(server: psutil.Process, options: argparse.Namespace) -> None:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=context, initializer=django.setup) as workers:
        accounts = workers.submit(_prepare, options.budgets).result()
        print("wallets  processes  pairs/s   open p50, p95 ms   settle p50, p95 ms   CPU us a pair: Python, Postgres")
        for wallets, processes in itertools.product((1, WALLETS), (1, 2)):
            before = _cpu_s(server)
            times = _measure(workers, accounts[:wallets], processes, options)
            pairs = sum(len(one.settles) for one in times)
            rate = sum(len(one.settles) / one.seconds for one in times)
            cpu = [1e6 * seconds / pairs for seconds in (sum(one.cpu_s for one in times), _cpu_s(server) - before)]
            ms = _quantiles([t for one in times for t in one.opens]) + _quantiles(
                [t for one in times for t in one.settles]
            )
            print(
                f"{wallets:>7}{processes:>11}{rate:>9.0f}{ms[0]:>11.1f}{ms[1]:>8.1f}{ms[2]:>13.1f}{ms[3]:>8.1f}{cpu[0]:>24.0f}{cpu[1]:>10.0f}",
                flush=True,
            )
        print(workers.submit(_audit).result())


def _measure(
    workers: ProcessPoolExecutor, accounts: list[Account], processes: int, options: argparse.Namespace
) -> list[Times]:
    in_flight = options.in_flight // processes
    drives = [workers.submit(_drive, accounts, in_flight, options.seconds, options.profile) for _ in range(processes)]
    return [drive.result() for drive in drives]


def _quantiles(seconds: list[float]) -> tuple[float, float]:
    """(p50, p95) in milliseconds."""
    ordered = sorted(seconds)
    return 1000 * ordered[len(ordered) // 2], 1000 * ordered[len(ordered) * 95 // 100]


def _cpu_s(server: psutil.Process) -> float:
    """Seconds of CPU that Postgres has used; what its children used is its own once they have ended."""
    used = 0.0
    for child in server.children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            used += sum(child.cpu_times()[:2])
    return float(used + sum(server.cpu_times()[:4]))


def _prepare(with_budgets: bool) -> list[Account]:
    """A store with one model, and WALLETS consumers with credit and a key each."""
    from django.core.management import call_command

    from bench.accounts import make_accounts

    call_command("migrate", verbosity=0, skip_checks=True)
    return [
        Account(*ids) for ids in make_accounts(WALLETS, credit_nano=CREDIT_NANO, budget_nano=BUDGET_NANO * with_budgets)
    ]


def _audit() -> str:
    from store.ledger.audit import audit
    from store.runs.models import Run

    started, mismatches = time.perf_counter(), audit()
    verdict = "the books are right" if not mismatches else f"{len(mismatches)} mismatches, the first: {mismatches[0]}"
    return f"audit of {Run.objects.count()} runs in {time.perf_counter() - started:.1f} s: {verdict}"


def _drive(accounts: list[Account], in_flight: int, seconds: float, profile: bool) -> Times:
    from store.runs.actions import heartbeat_gateway, open_runs, settle_runs
    from store.runs.group_commit import GroupCommit

    gateway_id = uuid7()
    heartbeat_gateway(gateway_id)
    profiles = {"open": cProfile.Profile(), "settle": cProfile.Profile()} if profile else {}

    def open_them(batch: Sequence[OpenRun]) -> list[OpenAnswer]:
        return profiles["open"].runcall(open_runs, batch) if profile else open_runs(batch)

    def settle_them(batch: Sequence[SettleRun]) -> list[SettledRun]:
        return profiles["settle"].runcall(settle_runs, batch) if profile else settle_runs(batch)

    opens: GroupCommit[OpenRun, OpenAnswer] = GroupCommit(open_them, name="opens")
    settles: GroupCommit[SettleRun, SettledRun] = GroupCommit(settle_them, name="settles")
    try:
        return asyncio.run(_pairs(opens, settles, accounts, gateway_id, in_flight, seconds))
    finally:
        opens.close()
        settles.close()
        for one in profiles.values():
            pstats.Stats(one).sort_stats("tottime").print_stats(25)


async def _pairs(
    opens: GroupCommit[OpenRun, OpenAnswer],
    settles: GroupCommit[SettleRun, SettledRun],
    accounts: list[Account],
    gateway_id: UUID,
    in_flight: int,
    seconds: float,
) -> Times:
    from store.runs.books import OpenRun, SettleRun
    from store.runs.models import Endpoint, RunStatus

    times, turn = Times(), itertools.cycle(accounts)
    started, cpu_started = time.perf_counter(), time.process_time()

    async def one_after_another() -> None:
        while (begun := time.perf_counter()) < started + seconds:
            payer, run_id = next(turn), uuid7()
            await opens.submit(
                OpenRun(
                    run_id=run_id,
                    organization_id=payer.organization_id,
                    user_id=None,
                    api_key_id=payer.api_key_id,
                    listing_id=payer.listing_id,
                    release_id=payer.release_id,
                    gateway_id=gateway_id,
                    endpoint=Endpoint.CHAT,
                    request_id=f"req_{run_id.hex}",
                    is_stream=True,
                    prompt_tokens=PROMPT_TOKENS,
                    max_tokens=MAX_TOKENS,
                    context_left=MAX_TOKENS,
                )
            )
            between = time.perf_counter()
            await settles.submit(
                SettleRun(
                    run_id=run_id,
                    status=RunStatus.SUCCEEDED,
                    output_tokens=MADE_TOKENS,
                    finish_reason="stop",
                    worker="bench",
                )
            )
            times.opens.append(between - begun)
            times.settles.append(time.perf_counter() - between)

    await asyncio.gather(*(one_after_another() for _ in range(in_flight)))
    times.seconds, times.cpu_s = time.perf_counter() - started, time.process_time() - cpu_started
    return times


if __name__ == "__main__":
    main()
