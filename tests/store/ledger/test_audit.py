"""The audit finds what is wrong, and names the row."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from io import StringIO
from uuid import UUID

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from uuid_utils.compat import uuid7

from store.accounts.models import User
from store.catalog.models import Listing
from store.keys.actions import IssuedKey, update_key
from store.keys.models import Period
from store.ledger.audit import audit
from store.ledger.models import Wallet
from store.runs.actions import heartbeat_gateway, open_runs, settle_runs
from store.runs.books import OpenRun, ReplayKey, SettleRun
from store.runs.models import Endpoint, Run, RunStatus

pytestmark = pytest.mark.django_db


@contextmanager
def lawless() -> Generator[None, None, None]:
    """No trigger fires: as if somebody with a database shell had been at work."""
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        yield
        cursor.execute("SET session_replication_role = DEFAULT")


@pytest.fixture
def runs(consumer: User, listing: Listing, issued_key: IssuedKey, wallet: Wallet) -> list[UUID]:
    """Three runs of a key with a budget: succeeded, failed with nothing made, and open; each came with an Idempotency-Key."""
    update_key(
        api_key=issued_key.api_key,
        user=consumer,
        name="x",
        listings=[listing],
        budgets=[(listing, Period.TOTAL, 10**9)],
    )
    gateway_id, ids = uuid7(), [uuid7() for _ in range(3)]
    heartbeat_gateway(gateway_id)
    open_runs(
        [
            OpenRun(
                run_id=run_id,
                organization_id=wallet.organization_id or 0,
                user_id=None,
                api_key_id=issued_key.api_key.id,
                listing_id=listing.id,
                release_id=listing.current_release_id or 0,
                gateway_id=gateway_id,
                endpoint=Endpoint.CHAT,
                request_id="req",
                is_stream=False,
                prompt_tokens=100,
                max_tokens=50,
                context_left=412,
                replay=ReplayKey(key=str(run_id), body_sha256=bytes(32)),
            )
            for run_id in ids
        ]
    )
    settle_runs(
        [
            SettleRun(run_id=ids[0], status=RunStatus.SUCCEEDED, output_tokens=20, replay_chunks=b"[]"),
            SettleRun(run_id=ids[1], status=RunStatus.FAILED, output_tokens=0),
        ]
    )
    assert Run.objects.get(pk=ids[0]).charge_nano == 18_000
    return ids


def test_right_books_pass(runs: list[UUID]) -> None:
    out = StringIO()
    call_command("ledger", "audit", stdout=out, skip_checks=True)
    assert "The books are right." in out.getvalue()


@pytest.mark.parametrize(
    ("damage", "check"),
    [
        ("UPDATE ledger_wallet SET posted_nano = posted_nano + 1 WHERE kind = 'credit'", "posted balance"),
        ("UPDATE ledger_wallet SET posted_nano = posted_nano + 1 WHERE kind = 'credit'", "sum of all wallets"),
        ("UPDATE ledger_wallet SET held_nano = held_nano + 1 WHERE kind = 'credit'", "held balance"),
        ("DELETE FROM ledger_wallet WHERE kind = 'platform'", "wallet of a row"),
        ("UPDATE ledger_transfer SET amount_nano = amount_nano + 1 WHERE kind = 'commission'", "transfers of a run"),
        ("DELETE FROM ledger_transfer WHERE kind = 'usage'", "transfers of a run"),
        ("DELETE FROM runs_replay; DELETE FROM runs_run WHERE status = 'succeeded'", "transfers of a run"),
        ("UPDATE runs_run SET output_tokens = 21 WHERE status = 'succeeded'", "charge of a run"),
        ("UPDATE runs_run SET charge_nano = 1 WHERE status = 'failed'", "charge of a run"),
        ("UPDATE ledger_hold SET captured_nano = 1 WHERE status = 'captured'", "hold of a run"),
        ("UPDATE ledger_hold SET status = 'voided', resolved_at = now() WHERE status = 'open'", "hold of a run"),
        ("UPDATE runs_run SET status = 'failed' WHERE status = 'open'", "hold of a run"),
        ("UPDATE keys_keyuse SET open_runs = 0", "open runs of a key"),
        ("UPDATE keys_budgetuse SET used_nano = 1", "use of a budget"),
        ("UPDATE runs_replay SET chunks = NULL", "answer kept for a run"),
        ("UPDATE ledger_transfer SET amount_nano = 1 WHERE kind = 'topup'", "transfer of a top-up"),
        ("DELETE FROM billing_topup", "transfer of a top-up"),
    ],
)
def test_damage_is_found_and_named(runs: list[UUID], damage: str, check: str) -> None:
    assert audit() == []
    with lawless(), connection.cursor() as cursor:
        cursor.execute(damage)
        assert cursor.rowcount > 0
    found = [mismatch for mismatch in audit() if mismatch.check == check]
    assert found, audit()
    assert all(mismatch.row and mismatch.remedy and mismatch.expected != mismatch.found for mismatch in found)


def test_the_command_names_the_row_and_exits_with_one(runs: list[UUID], wallet: Wallet) -> None:
    with lawless(), connection.cursor() as cursor:
        cursor.execute("UPDATE ledger_wallet SET held_nano = held_nano + 1 WHERE id = %s", [wallet.id])
    out = StringIO()
    with pytest.raises(CommandError) as caught:
        call_command("ledger", "audit", stdout=out, skip_checks=True)
    assert caught.value.returncode == 1
    assert f"held balance: wallet {wallet.id}: expected 30000, found 30001." in out.getvalue()
