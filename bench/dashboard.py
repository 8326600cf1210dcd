"""How fast the dashboard of the people who run the store answers over a million transfers: ``python -m bench.dashboard``.

Starts its own Postgres in a temporary folder. TRANSFERS are written by SQL over DAYS days up to now: a top-up of each customer, then calls of
three transfers each (provider, royalty, commission). The days that are over are kept as the clock keeps them; today's are read from the
transfers. The hours of models are written directly. Each part of the page is timed, then the whole page, by Django's test client.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from bench.ledger import _start_postgres as start_postgres
from bench.usage import Table
from store import embedded

TRANSFERS, DAYS = 1_000_000, 90
CUSTOMERS, PROVIDERS = 5_000, 200
TOPUP_NANO = 1_000 * 10**9
DOLLAR = 10**9
TOPUPS = """
INSERT INTO ledger_transfer (key, debit_id, credit_id, amount_nano, kind, created_at)
SELECT 'topup:' || w.id, %s, w.id, %s, 'topup', now() - interval '1 day' * %s FROM ledger_wallet w WHERE w.kind = 'credit'
"""
# Customers and providers of uneven weight: a call's place in their lists is the square of a fraction that goes round.
CALLS = """
INSERT INTO ledger_transfer (key, debit_id, credit_id, amount_nano, kind, created_at)
SELECT 'call:' || n || ':' || part.kind, (%s::bigint[])[1 + floor(power(n * 0.6180339887 %% 1, 2) * %s)::int],
       CASE WHEN part.kind = 'commission' THEN %s ELSE (%s::bigint[])[1 + floor(power(n * part.step %% 1, 2) * %s)::int] END,
       part.nano + n %% 1000, part.kind, now() - interval '1 day' * %s * (1 - n::float8 / %s)
FROM generate_series(1, %s) AS n,
     (VALUES ('usage', 800000, 0.4142135623), ('royalty', 50000, 0.7320508075), ('commission', 150000, 0)) AS part(kind, nano, step)
ORDER BY n
"""
HOURS = """
INSERT INTO reputation_listinghour (listing_id, hour, calls, failed, paid_calls, prompt_tokens, cached_tokens, output_tokens, charge_nano,
                                    provider_nano, royalty_nano, first_token_ms, tokens_per_s)
SELECT listing, hour, 1, 0, 1, 100, 0, 50, 1000000 + listing, 800000, 50000, array_fill(0::bigint, ARRAY[90]), array_fill(0::bigint, ARRAY[90])
FROM generate_series(date_trunc('hour', now()) - interval '1 day' * %s, now(), interval '1 hour') AS hour, unnest(%s::bigint[]) AS listing
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="bench-dashboard-"))
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
    _fill()
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
        cursor.execute(
            "SELECT count(*), count(*) FILTER (WHERE created_at >= %s) FROM ledger_transfer",
            [datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)],
        )
        print("{:,} transfers, {:,} of them today".format(*cursor.fetchone()))
        for name in ("backoffice_ledgerday", "backoffice_walletday", "reputation_listinghour"):
            cursor.execute(f"SELECT count(*) FROM {name}")
            print(f"{name}: {cursor.fetchone()[0]:,} rows")
    table = Table(psutil.Process(server.pid))
    _time_parts(table)
    _time_pages(table)


def _fill() -> None:
    from store.accounts.models import Organization
    from store.backoffice.days import keep_days
    from store.catalog.models import Listing
    from store.ledger.actions import ensure_wallets, store_wallet
    from store.ledger.models import Wallet, WalletKind
    from store.ledger.sql import array, execute

    owners = Organization.objects.bulk_create(
        [Organization(slug=f"org-{n}", name=f"Organization {n}") for n in range(CUSTOMERS + PROVIDERS)]
    )
    customers, providers = owners[:CUSTOMERS], owners[CUSTOMERS:]
    for some, kind in ((customers, WalletKind.CREDIT), (providers, WalletKind.EARNINGS)):
        ensure_wallets([owner.pk for owner in some], kind)
    listings = Listing.objects.bulk_create(
        [Listing(organization=owner, slug="bard", title="Bard", licence="mit") for owner in providers]
    )
    credit, earnings = (
        array(Wallet.objects.filter(kind=kind).order_by("pk").values_list("pk", flat=True))
        for kind in (WalletKind.CREDIT, WalletKind.EARNINGS)
    )
    calls = (TRANSFERS - CUSTOMERS) // 3
    execute(TOPUPS, store_wallet(WalletKind.TEST_BANK).pk, TOPUP_NANO, DAYS)
    platform = store_wallet(WalletKind.PLATFORM).pk
    execute(CALLS, credit, CUSTOMERS, platform, earnings, PROVIDERS, DAYS, calls, calls)
    execute(HOURS, DAYS, array(listing.pk for listing in listings))
    print(f"{keep_days():,} rows of days were kept")


def _time_parts(table: Table) -> None:
    from store.backoffice.figures import moves
    from store.backoffice.period import preset
    from store.backoffice.proving import latest_runs
    from store.backoffice.ranks import listings
    from store.backoffice.standing import holds, owed, payouts, waiting
    from store.backoffice.trade import trade

    period = preset("30", today=datetime.now(UTC).date())
    table.head("part, 30 days")
    for name, what in (
        ("money moved", moves), ("customers, providers, consumers", trade), ("models", listings), ("payouts", payouts),
    ):  # fmt: skip
        table.row(name, lambda what=what: what(period))
    for name, now in (("owed", owed), ("held", holds), ("to look at", lambda: waiting("all")), ("audits", latest_runs)):
        table.row(name, now)


def _time_pages(table: Table) -> None:
    from django.test import Client

    browser = Client(headers={"host": "localhost"})
    browser.force_login(_admin())
    table.head("page")
    for address in ("/admin/", "/admin/?period=today", "/admin/?period=90", "/admin/?period=365"):

        def get(address: str = address) -> None:
            answer = browser.get(address, secure=False)
            assert answer.status_code == 200, answer.status_code
            assert b"What was sold" in answer.content

        table.row(address, get)


def _admin() -> Any:
    """Somebody who may see the books, with a second factor."""
    from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret

    from store.accounts.models import User

    admin = User.objects.create_superuser("admin@example.com", password=None)
    TOTP.activate(admin, generate_totp_secret())
    return admin


if __name__ == "__main__":
    main()
