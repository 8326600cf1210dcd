"""How fast the usage page answers over the buckets of a hundred million runs: ``python -m bench.usage``.

Starts its own Postgres in a temporary folder. Buckets are written directly, those of days and of hours and their slices, as the count would
have left them: a year of one organization with KEYS keys that each call LISTINGS models every hour, and as many again of other organizations
beside it. The runs that they stand for are not there, since nothing on the page but the list of runs reads them. Each query of the page is
timed, then the whole page and /api/usage, by Django's test client, with templates and JSON.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil

from bench.ledger import _cpu_s as cpu_s
from bench.ledger import _start_postgres as start_postgres
from store import embedded

KEYS, LISTINGS, DAYS = 20, 5, 365
OTHERS = 4  # organizations of a quarter of the size each
RUNS = 100_000_000
REPEATS = 9
FILL = """
INSERT INTO usage_usagebucket (grain, starts_at, organization_id, member_id, api_key_id, listing_id, kind, calls, trainings, failed,
                               input_tokens, cached_tokens, output_tokens, training_tokens, charge_nano, first_token_ms)
SELECT 'hour', hour, %s, %s, key, listing, 'chat', %s, 0, %s / 500, %s * 700, %s * 200, %s * 250, 0, %s * 190000,
       (SELECT sum((%s / 20)::numeric * 10::numeric ^ (12 * place)) FROM generate_series(30, 49) AS place)
FROM generate_series(%s::timestamptz, %s::timestamptz - interval '1 hour', interval '1 hour') AS hour,
     unnest(%s::bigint[]) AS key, unnest(%s::bigint[]) AS listing
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="bench-usage-"))
    folder.chmod(0o755)
    os.environ.update(
        DATA_DIR=str(folder), DATABASE_URL=embedded.database_url(folder), SECRET_KEY="bench", LOG_LEVEL="WARNING"
    )
    os.environ["DJANGO_SETTINGS_MODULE"] = "store.settings"
    server = start_postgres(folder)
    try:
        _measure(server)
    finally:
        server.send_signal(signal.SIGINT)  # without waiting for our own connection to end
        server.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _measure(server: subprocess.Popen[bytes]) -> None:
    import django

    django.setup()
    from django.core.management import call_command
    from django.db import connection

    call_command("migrate", verbosity=0, skip_checks=True)
    call_command("collectstatic", interactive=False, verbosity=0)
    until = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    organization, owner = _fill(until)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE usage_usagebucket, usage_usageslice")
        cursor.execute(
            "SELECT grain, count(*), sum(calls) FROM usage_usagebucket WHERE organization_id = %s GROUP BY 1 ORDER BY 1",
            [organization.pk],
        )
        for grain, rows, calls in cursor.fetchall():
            print(f"{rows:,} buckets by the {grain} stand for {calls:,} runs")
        for name in ("usage_usagebucket", "usage_usageslice"):
            cursor.execute(f"SELECT count(*), pg_size_pretty(pg_total_relation_size('{name}')) FROM {name}")
            print(f"{name}: {{:,}} rows, {{}}".format(*cursor.fetchone()))
    table = Table(psutil.Process(server.pid))
    _time_queries(table, organization, until)
    _time_pages(table, organization, owner, until)


def _fill(until: datetime) -> tuple[Any, Any]:
    """The organization that is looked at, and its owner."""
    from bench.accounts import make_accounts
    from store.accounts.models import Organization
    from store.catalog.models import Listing
    from store.keys.actions import issue_key
    from store.ledger.sql import array, execute
    from store.usage.counting_sql import DIMENSIONS, SLICED, VALUES, sliced, summed

    [(organization_id, _key, listing_id, _release), *others] = make_accounts(1 + OTHERS, credit_nano=1)
    organization = Organization.objects.get(pk=organization_id)
    owner = organization.memberships.get().user
    listing = Listing.objects.get(pk=listing_id)
    listings = [listing_id] + [
        Listing.objects.create(organization=listing.organization, slug=f"bard-{n}", title="Bard", licence="mit").pk
        for n in range(1, LISTINGS)
    ]
    keys = [
        issue_key(organization=organization, user=owner, name=f"key {n}", listings=[listing]).api_key.pk
        for n in range(KEYS)
    ]
    since = until - timedelta(days=DAYS)
    calls = RUNS // (DAYS * 24 * KEYS * LISTINGS)
    for payer, of_keys in (
        (organization_id, keys),
        *((other[0], [other[1] + n for n in range(KEYS // OTHERS)]) for other in others),
    ):
        values = (payer, owner.pk, *[calls] * 6, calls, since, until, array(of_keys), array(listings))
        execute(FILL, *values)
    execute(f"""INSERT INTO usage_usagebucket (grain, starts_at, {DIMENSIONS}, {VALUES})
                SELECT 'day', starts_at, {DIMENSIONS}, {VALUES} FROM ({summed(where="true")}) AS c""")  # fmt: skip
    execute(f"INSERT INTO usage_usageslice ({SLICED}) SELECT {SLICED} FROM ({sliced(where='true')}) AS s")
    return organization, owner


def _time_queries(table: Table, organization: Any, until: datetime) -> None:
    from store.keys.models import ApiKey
    from store.reputation.periods import DAY, HOUR
    from store.usage.figures import Scope, by_group, by_time, cost_by_time, totals

    tomorrow = (until - HOUR).replace(hour=0) + DAY
    four = list(ApiKey.objects.filter(organization=organization).values_list("pk", flat=True)[:4])
    table.head("query")
    for days in (30, 90, 365):
        scope = Scope(organization=organization, since=tomorrow - days * DAY, until=tomorrow)
        table.row(f"{days} days: by day", lambda scope=scope: by_time(scope, "day"))
        table.row(f"{days} days: by model", lambda scope=scope: by_group(scope, "listing"))
        table.row(f"{days} days: cost of four keys by day", lambda scope=scope: cost_by_time(scope, "day", "key", four))
        table.row(f"{days} days: totals", lambda scope=scope: totals(scope))
    week = Scope(organization=organization, since=until - 7 * DAY, until=until)
    table.row("7 days: by hour", lambda: by_time(week, "hour"))
    month = Scope(organization=organization, since=until - 31 * DAY, until=until)
    table.row("31 days: by hour", lambda: by_time(month, "hour"))


def _time_pages(table: Table, organization: Any, owner: Any, until: datetime) -> None:
    from django.test import Client

    from store.console.context import ORGANIZATION_KEY
    from store.keys.models import ApiKey

    browser = Client(headers={"host": "localhost"})
    browser.force_login(owner)
    session = browser.session
    session[ORGANIZATION_KEY] = organization.pk
    session.save()
    key = ApiKey.objects.filter(organization=organization).latest("pk")
    month = f"since={until - timedelta(days=31):%Y-%m-%d}&until={until - timedelta(days=1):%Y-%m-%d}"
    year = f"organization={organization.slug}&limit=366&since={until - timedelta(days=365):%Y-%m-%d}T00:00:00Z"
    hours = f"organization={organization.slug}&limit=366&since={until - timedelta(days=31):%Y-%m-%d}T00:00:00Z&bucket_width=1h"
    table.head("page")
    for address in (
        "/usage", "/usage?span=90d", "/usage?span=365d", "/usage?span=365d&group=key", f"/usage?span=365d&key={key.pk}",
        f"/usage?span=365d&member={owner.pk}", "/usage?span=7d&by=hour", f"/usage?{month}&by=hour", f"/usage?{month}&by=hour&group=key",
        f"/usage?{month}&by=hour&key={key.pk}", f"/usage?{month}&by=hour&member={owner.pk}", f"/usage?{month}&by=hour&member={owner.pk}&kind=chat",
        f"/api/usage?{year}", f"/api/usage?{year}&group_by=model", f"/api/usage?{year}&group_by=api_key",
        f"/api/usage?{hours}", f"/api/usage?{hours}&group_by=model", f"/api/usage?{hours}&group_by=api_key",
    ):  # fmt: skip

        def get(address: str = address) -> None:
            answer = browser.get(address, secure=False)
            assert answer.status_code == 200, answer.status_code

        table.row(address, get)


@dataclass(frozen=True, slots=True)
class Table:
    """Prints rows of milliseconds: the wall's median and worst, and what processors spent, here and in Postgres, on average."""

    server: psutil.Process

    def head(self, name: str) -> None:
        print(f"\n{name:<90}{'wall p50':>10}{'worst':>8}{'CPU: web':>10}{'Postgres':>10}   ms")

    def row(self, name: str, what: Callable[[], Any]) -> None:
        what()
        taken, cpu, server = [], time.process_time(), cpu_s(self.server)
        for _ in range(REPEATS):
            started = time.perf_counter()
            what()
            taken.append(1000 * (time.perf_counter() - started))
        here, there = (1000 * spent / REPEATS for spent in (time.process_time() - cpu, cpu_s(self.server) - server))
        print(f"{name:<90}{statistics.median(taken):>10.0f}{max(taken):>8.0f}{here:>10.0f}{there:>10.0f}", flush=True)


if __name__ == "__main__":
    main()
