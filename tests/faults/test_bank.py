"""Eight processes top up, hold, settle, refund and dispute on the same few wallets, and are killed in the middle of it all the time.

Then the books are right, what was acknowledged is there to the unit, and nothing is there that nobody asked for. Six seconds in ``make test``, sixty in
``make faults``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from psycopg.conninfo import make_conninfo

from store.accounts.models import User
from store.billing.models import Dispute, Refund, Topup
from store.catalog.models import Listing
from store.ledger.audit import audit
from store.ledger.models import Hold, HoldStatus, Wallet
from store.runs.actions import settle_runs
from store.runs.books import SettleRun
from store.runs.models import Run, RunStatus
from tests.conftest import make_listing, make_user
from tests.store.derivatives import made_from, set_royalty
from tests.waiting import await_that

pytestmark = [pytest.mark.fault, pytest.mark.django_db(transaction=True)]

SECONDS, FULL_SECONDS = 6, 60
PER_MILLION = 33_333_337_003  # nano-dollars for a million tokens: a call costs up to a cent, a top-up is a few cents


@pytest.fixture
def listings(provider: User, stranger: User) -> list[Listing]:
    """One of no base, and one that owes a tenth to another's."""
    root = make_listing(stranger.personal_organization, "root")
    set_royalty(root, 100_000)
    plain = make_listing(provider.personal_organization, "plain", input_nano=PER_MILLION, output_nano=2 * PER_MILLION)
    tuned = made_from(root, provider, "tuned")
    return [plain, tuned]


def bank(seconds: int, listings: list[Listing], journals: Path) -> int:
    """Runs it; returns how many tellers were killed."""
    customers = [make_user(name).personal_organization.pk for name in ("ann", "ben", "eve")]
    job = {
        "seconds": seconds, "journals": str(journals), "organizations": customers,
        "listings": [(listing.pk, listing.current_release_id) for listing in listings],
    }  # fmt: skip
    url = make_conninfo(os.environ["DATABASE_URL"], dbname=connection.settings_dict["NAME"])
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.bank"],
        env={**os.environ, "DATABASE_URL": url, "EARNINGS_HOLD_BACK_DAYS": "0"}, input=json.dumps(job), stdout=subprocess.PIPE, text=True, check=True, timeout=seconds + 300,
    )  # fmt: skip
    return int(done.stdout)


def read(journals: Path) -> dict[str, list[dict[str, Any]]]:
    """Lines by their word."""
    said: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for journal in journals.iterdir():
        for line in journal.read_text().splitlines():
            entry = json.loads(line)
            said[entry["word"]].append(entry)
    return said


def amounts(entries: list[dict[str, Any]]) -> dict[str, int]:
    return {entry["id"]: entry["nano"] for entry in entries}


def nobody_else_is_connected() -> bool:
    """The server has noticed that its clients are dead, and rolled back what they were in the middle of."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )
        return bool(cursor.fetchone() == (0,))


def test_a_bank_whose_tellers_are_killed_keeps_its_books(full: bool, listings: list[Listing], tmp_path: Path) -> None:
    killed = bank(FULL_SECONDS if full else SECONDS, listings, tmp_path)
    await_that(nobody_else_is_connected, "the server notices that its clients are dead")
    assert audit() == []
    said = read(tmp_path)

    held = {str(pk): nano for pk, nano in Run.objects.values_list("pk", "hold__amount_nano")}
    assert amounts(said["hold"]).items() <= held.items()
    assert held.keys() <= {run_id for entry in said["try hold"] for run_id in entry["ids"]}

    settled = {
        str(pk): nano for pk, nano in Run.objects.exclude(status=RunStatus.OPEN).values_list("pk", "charge_nano")
    }
    assert amounts(said["settle"]).items() <= settled.items()
    assert settled.keys() <= {run_id for entry in said["try settle"] for run_id in entry["ids"]}

    gone = dict(Refund.objects.values_list("pk", "amount_nano")) | dict(
        Dispute.objects.values_list("pk", "amount_nano")
    )
    assert amounts(said["back"]).items() <= gone.items()
    assert gone.items() <= amounts(said["try back"]).items()

    bought = {str(pk): nano for pk, nano in Topup.objects.values_list("pk", "amount_nano")}
    assert amounts(said["topup"]).items() <= bought.items()
    assert len(said["topup"]) <= len(bought) <= len(said["try topup"])

    for run_id in Run.objects.filter(status=RunStatus.OPEN).values_list("pk", flat=True):  # what the dead left behind
        settle_runs([SettleRun(run_id=run_id, status=RunStatus.FAILED, output_tokens=0)])
    assert audit() == []
    assert not Hold.objects.filter(status=HoldStatus.OPEN).exists()
    assert {wallet.held_nano for wallet in Wallet.objects.all()} == {0}
    print(f"{killed} tellers killed; {len(bought)} top-ups, {len(held)} runs, {len(gone)} refunds and disputes")
    assert min(killed, len(bought), len(settled), len(gone)) > 0
