"""A balance for 700 of 1,000 parallel calls, through four processes: exactly 700 are served, and the books stay right.

One seed in ``make test``; ``make faults`` runs all twenty.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections import Counter
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from psycopg.conninfo import make_conninfo
from uuid_utils.compat import uuid7

from store.catalog.models import Listing
from store.keys.actions import IssuedKey
from store.ledger.actions import store_wallet, transfer
from store.ledger.audit import audit
from store.ledger.models import Hold, HoldStatus, TransferKind, Wallet, WalletKind
from store.ledger.pricing import Rates, charge
from store.runs.actions import find_dead_gateways, runs_left_by, settle_runs
from store.runs.books import SettleRun
from store.runs.models import Gateway, Run, RunStatus

pytestmark = [pytest.mark.fault, pytest.mark.django_db(transaction=True)]

RATES = Rates(
    input_nano=100_000_000, cached_input_nano=50_000_000, output_nano=400_000_000
)  # of the fixture ``listing``
PROCESSES = 4
SEEDS = 20


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "seed" in metafunc.fixturenames:
        in_full = metafunc.config.getoption("--full", default=False) or os.environ.get("FAULTS") == "full"
        metafunc.parametrize("seed", range(SEEDS if in_full else 1))


class Caller:
    """A process of :mod:`tests.faults.caller`, and what it is told and says."""

    def __init__(self, gateway_id: UUID, request: dict[str, Any], count: int, max_batch: int) -> None:
        self.gateway_id = gateway_id
        url = make_conninfo(os.environ["DATABASE_URL"], dbname=connection.settings_dict["NAME"])
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.caller"],
            env={**os.environ, "DATABASE_URL": url},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.say(
            json.dumps({"gateway_id": str(gateway_id), "request": request, "count": count, "max_batch": max_batch})
        )

    def say(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def hear(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()

    def end(self) -> None:
        self.process.communicate(timeout=30)
        assert self.process.returncode == 0


def shares(total: int, chance: random.Random) -> list[int]:
    """``total`` calls, dealt to the processes unevenly."""
    cuts = sorted(chance.randint(0, total) for _ in range(PROCESSES - 1))
    return [after - before for before, after in zip([0, *cuts], [*cuts, total], strict=True)]


@pytest.fixture
def request_fields(wallet: Wallet, issued_key: IssuedKey, listing: Listing) -> dict[str, Any]:
    return {
        "organization_id": wallet.organization_id,
        "api_key_id": issued_key.api_key.id,
        "listing_id": listing.id,
        "release_id": listing.current_release_id,
        "prompt_tokens": 100,
        "max_tokens": 50,
        "context_left": 412,
    }


def leave(wallet: Wallet, amount_nano: int) -> None:
    """Spends all of the wallet but ``amount_nano``."""
    platform_id, spent = store_wallet(WalletKind.PLATFORM).id, wallet.available_nano - amount_nano
    transfer(
        key=f"leave:{wallet.id}", debit_id=wallet.id, credit_id=platform_id, amount_nano=spent, kind=TransferKind.GRANT
    )


def start(request: dict[str, Any], chance: random.Random) -> list[Caller]:
    callers = [Caller(uuid7(), request, count, chance.choice([1, 16, 256])) for count in shares(1000, chance)]
    assert {caller.hear() for caller in callers} == {"ready"}
    for caller in callers:
        caller.say("go")
    return callers


def test_a_balance_for_700_serves_700_of_1000(request_fields: dict[str, Any], wallet: Wallet, seed: int) -> None:
    chance = random.Random(seed)
    request = {**request_fields, "prompt_tokens": chance.randint(1, 300), "max_tokens": chance.randint(1, 200)}
    worst = charge(RATES, prompt_tokens=request["prompt_tokens"], output_tokens=request["max_tokens"])
    leave(wallet, 700 * worst + chance.randrange(worst))
    callers = start(request, chance)
    said = Counter[str]()
    for caller in callers:
        said.update(json.loads(caller.hear()))
    assert said == {"OpenedRun": 700, "InsufficientCredit": 300}
    assert audit() == []
    for caller in callers:
        caller.say("settle")
    assert sum(int(caller.hear()) for caller in callers) == 700 * worst
    for caller in callers:
        caller.end()
    wallet.refresh_from_db()
    assert wallet.held_nano == 0
    assert 0 <= wallet.posted_nano < worst
    assert Run.objects.filter(status=RunStatus.SUCCEEDED).count() == 700
    assert audit() == []


def test_processes_killed_between_opening_and_settling_leave_the_books_right(
    request_fields: dict[str, Any], wallet: Wallet
) -> None:
    """Two of four are killed with runs open, one of them in the middle of opening; the reaper finds them and gives all back."""
    chance = random.Random(1)
    callers = start(request_fields, chance)
    callers[0].kill()  # wherever it is
    for caller in callers[1:]:
        caller.hear()
    callers[1].kill()
    for caller in callers[2:]:
        caller.say("settle")
        caller.hear()
        caller.end()
    assert audit() == []
    dead = {caller.gateway_id for caller in callers[:2] if runs_left_by(caller.gateway_id)}
    assert callers[1].gateway_id in dead
    with connection.cursor() as cursor:  # half a minute goes by
        cursor.execute("UPDATE runs_gateway SET heartbeat_at = heartbeat_at - interval '30 s'")
        assert find_dead_gateways() == []
        cursor.execute("UPDATE runs_gateway SET suspected_at = suspected_at - interval '11 s'")
    assert set(find_dead_gateways()) == dead
    for gateway_id in dead:
        while left := runs_left_by(gateway_id):
            settle_runs([SettleRun(run_id=run_id, status=RunStatus.FAILED, output_tokens=0) for run_id in left])
    assert Gateway.objects.count() == PROCESSES
    assert not Hold.objects.filter(status=HoldStatus.OPEN).exists()
    wallet.refresh_from_db()
    assert wallet.held_nano == 0
    assert audit() == []
