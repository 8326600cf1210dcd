"""A provider whose account is ready, earnings, and time that passes; after every test here the books are right."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db import connection
from django.utils import timezone
from uuid_utils.compat import uuid7

from store.accounts.models import Organization, User
from store.ledger.actions import store_wallet, transfer, wallet_of
from store.ledger.audit import audit
from store.ledger.earnings import mark_earnings
from store.ledger.models import TransferKind, WalletKind
from store.payouts.models import ConnectAccount, Payout
from store.payouts.sending import advance, due_payouts
from tests.sandboxed import Till, till

__all__ = ["till"]


@pytest.fixture(autouse=True)
def proven(db: None) -> Iterator[None]:
    yield
    assert audit() == []


@pytest.fixture
def account(till: Till, provider: User) -> ConnectAccount:
    """The provider's, filled in and ready."""
    return till.onboard(provider)


def earn(organization: Organization, amount_nano: int, kind: TransferKind = TransferKind.USAGE) -> None:
    """Somebody has called a model of theirs just now."""
    transfer(
        key=f"earned:{uuid7()}", debit_id=store_wallet(WalletKind.TEST_BANK).pk, amount_nano=amount_nano, kind=kind,
        credit_id=wallet_of(organization.pk, WalletKind.EARNINGS).pk,
    )  # fmt: skip


def pass_days(days: float) -> None:
    """All that has been earned was so days earlier; somebody has marked it since."""
    mark_earnings()
    with connection.cursor() as cursor:  # no transfer and no mark ever changes, but for a test that cannot wait
        cursor.execute("SET session_replication_role = replica")
        cursor.execute("UPDATE ledger_transfer SET created_at = created_at - %s * interval '1 day'", [days])
        cursor.execute("UPDATE ledger_earningsmark SET at = at - %s * interval '1 day'", [days])
        cursor.execute("SET session_replication_role = DEFAULT")


def go_on() -> None:
    """The clock strikes: whatever waits is due, and a worker takes it up."""
    Payout.objects.filter(due_at__isnull=False).update(due_at=timezone.now())
    for payout_id in due_payouts():
        advance(payout_id)


def balances(organization: Organization) -> tuple[int, int]:
    """(earnings, in flight), in nano-dollars."""
    return tuple(wallet_of(organization.pk, kind).posted_nano for kind in (WalletKind.EARNINGS, WalletKind.IN_FLIGHT))  # type: ignore[return-value]
