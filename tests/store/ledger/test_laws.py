"""The database keeps the laws of money, whoever asks it to break them."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models import F
from django.utils import timezone
from uuid_utils.compat import uuid7

from store.accounts.models import User
from store.ledger.actions import (
    NewHold,
    NewTransfer,
    Resolution,
    place_holds,
    resolve_holds,
    store_wallet,
    transfer,
    transfer_all,
    wallet_of,
)
from store.ledger.audit import audit
from store.ledger.models import Hold, HoldStatus, Transfer, TransferKind, Wallet, WalletKind

pytestmark = pytest.mark.django_db


def refused_sql(statement: str, *params: int) -> None:
    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement, params)


def hold(wallet: Wallet, amount_nano: int) -> UUID:
    hold_id = uuid7()
    expires_at = timezone.now() + timedelta(minutes=1)
    place_holds([NewHold(id=hold_id, wallet_id=wallet.id, amount_nano=amount_nano, expires_at=expires_at)])
    return hold_id


def pay(wallet: Wallet, amount_nano: int, *, key: str = "pay") -> bool:
    platform = store_wallet(WalletKind.PLATFORM)
    return transfer(
        key=key, debit_id=wallet.id, credit_id=platform.id, amount_nano=amount_nano, kind=TransferKind.GRANT
    )


def test_the_same_key_moves_money_once(wallet: Wallet) -> None:
    assert pay(wallet, 100)
    assert not pay(wallet, 100)
    wallet.refresh_from_db()
    assert wallet.posted_nano == 10 * 10**9 - 100


def test_the_same_key_for_something_else_is_an_error(wallet: Wallet) -> None:
    pay(wallet, 100)
    with pytest.raises(ValueError, match="moved something else"):
        pay(wallet, 101)


@pytest.mark.parametrize("amount", [0, -1])
def test_a_transfer_moves_more_than_nothing(wallet: Wallet, amount: int) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        pay(wallet, amount)


def test_credit_cannot_be_overdrawn(wallet: Wallet) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        pay(wallet, 10 * 10**9 + 1)
    assert pay(wallet, 10 * 10**9)


def test_what_is_held_cannot_be_spent_or_held_again(wallet: Wallet) -> None:
    hold(wallet, 6 * 10**9)
    with pytest.raises(IntegrityError), transaction.atomic():
        pay(wallet, 4 * 10**9 + 1)
    with pytest.raises(IntegrityError), transaction.atomic():
        hold(wallet, 4 * 10**9 + 1)
    hold(wallet, 4 * 10**9)


def test_a_transfer_cannot_be_changed_or_deleted(wallet: Wallet) -> None:
    pay(wallet, 100)
    refused_sql("UPDATE ledger_transfer SET amount_nano = 1")
    refused_sql("DELETE FROM ledger_transfer")
    with pytest.raises(IntegrityError), transaction.atomic():
        Transfer.objects.filter(key="pay").update(kind=TransferKind.CORRECTION)


def test_a_balance_cannot_be_edited(wallet: Wallet) -> None:
    refused_sql("UPDATE ledger_wallet SET posted_nano = posted_nano + 1 WHERE id = %s", wallet.id)
    refused_sql("UPDATE ledger_wallet SET held_nano = 0 WHERE id = %s", wallet.id)
    with pytest.raises(IntegrityError), transaction.atomic():
        Wallet.objects.filter(pk=wallet.pk).update(posted_nano=F("posted_nano") + 1)


def test_a_wallet_begins_empty_and_stays_what_it_is(wallet: Wallet, stranger: User) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        Wallet.objects.create(organization=stranger.personal_organization, kind=WalletKind.CREDIT, posted_nano=1)
    refused_sql("UPDATE ledger_wallet SET kind = 'bank' WHERE id = %s", wallet.id)
    refused_sql(
        "UPDATE ledger_wallet SET organization_id = %s WHERE id = %s", stranger.personal_organization.id, wallet.id
    )
    refused_sql("DELETE FROM ledger_wallet WHERE id = %s", wallet.id)


@pytest.mark.parametrize("first", [HoldStatus.CAPTURED, HoldStatus.VOIDED, HoldStatus.EXPIRED])
@pytest.mark.parametrize("second", [HoldStatus.CAPTURED, HoldStatus.VOIDED, HoldStatus.EXPIRED])
def test_a_hold_is_resolved_once(wallet: Wallet, first: HoldStatus, second: HoldStatus) -> None:
    hold_id = hold(wallet, 500)
    resolve_holds([Resolution(hold_id=hold_id, status=first)])
    with pytest.raises(IntegrityError), transaction.atomic():
        resolve_holds([Resolution(hold_id=hold_id, status=second)])
    wallet.refresh_from_db()
    assert wallet.held_nano == 0
    assert audit() == []


def test_a_hold_captures_at_most_itself_and_only_by_capture(wallet: Wallet) -> None:
    hold_id = hold(wallet, 500)
    with pytest.raises(IntegrityError), transaction.atomic():
        resolve_holds([Resolution(hold_id=hold_id, status=HoldStatus.CAPTURED, captured_nano=501)])
    with pytest.raises(IntegrityError), transaction.atomic():
        resolve_holds([Resolution(hold_id=hold_id, status=HoldStatus.VOIDED, captured_nano=1)])


def test_a_hold_changes_in_nothing_else(wallet: Wallet) -> None:
    hold(wallet, 500)
    refused_sql("UPDATE ledger_hold SET amount_nano = 1")
    refused_sql("UPDATE ledger_hold SET expires_at = now()")
    refused_sql("UPDATE ledger_hold SET id = gen_random_uuid(), status = 'voided', resolved_at = now()")
    refused_sql("UPDATE ledger_hold SET status = 'voided'")  # does not say when
    refused_sql("DELETE FROM ledger_hold")


def test_a_hold_begins_open(wallet: Wallet) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        Hold.objects.create(
            id=uuid7(),
            wallet=wallet,
            amount_nano=1,
            status=HoldStatus.VOIDED,
            expires_at=timezone.now(),
            resolved_at=timezone.now(),
        )


def test_money_goes_nowhere_without_a_wallet(wallet: Wallet) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        transfer(key="x", debit_id=wallet.id, credit_id=0, amount_nano=1, kind=TransferKind.GRANT)
    with pytest.raises(IntegrityError), transaction.atomic():
        transfer(key="x", debit_id=wallet.id, credit_id=wallet.id, amount_nano=1, kind=TransferKind.GRANT)
    expires_at = timezone.now()
    with pytest.raises(IntegrityError), transaction.atomic():
        place_holds([NewHold(id=uuid7(), wallet_id=0, amount_nano=1, expires_at=expires_at)])


def test_one_bad_transfer_of_a_set_stops_them_all(wallet: Wallet) -> None:
    platform = store_wallet(WalletKind.PLATFORM)
    moves = [
        NewTransfer(key=f"k{n}", debit_id=wallet.id, credit_id=platform.id, amount_nano=n, kind=TransferKind.GRANT)
        for n in (3, 2, 1, 0)
    ]
    with pytest.raises(IntegrityError), transaction.atomic():
        transfer_all(moves)
    assert transfer_all(moves[:3]) == ["k3", "k2", "k1"]
    platform.refresh_from_db()
    assert platform.posted_nano == 6


def test_a_wallet_is_made_once(consumer: User) -> None:
    organization_id = consumer.personal_organization.id
    assert wallet_of(organization_id, WalletKind.EARNINGS) == wallet_of(organization_id, WalletKind.EARNINGS)
    assert store_wallet(WalletKind.BANK) == store_wallet(WalletKind.BANK)
