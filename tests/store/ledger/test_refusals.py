"""UPDATE, DELETE and TRUNCATE on the books: the database refuses, whoever asks; new tables of the ledger, too."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone
from pytest_django.plugin import DjangoDbBlocker
from uuid_utils.compat import uuid7

from store.ledger import freezing
from store.ledger.actions import NewHold, ensure_wallets, place_holds, store_wallet, transfer
from store.ledger.models import Frozen, TransferKind, WalletKind
from store.ledger.plans import keep_plans
from store.ledger.shares import Plan
from tests.conftest import make_user
from tests.stack import connected_to

# What had come into earnings by when: made from the transfers, which the audit compares; old ones are deleted.
MARKS = "ledger_earningsmark"
# What others than the ledger keep for ever because money was shared, priced or owed by it.
TERMS = ("catalog_price", "catalog_royaltyterm", "catalog_commissionrule", "catalog_release")


@pytest.fixture
def books(migrated: str, django_db_blocker: DjangoDbBlocker) -> Iterator[list[str]]:
    """The ledger's tables with a row in each, in a database that has every trigger, and forgets it all afterwards."""
    with django_db_blocker.unblock(), connected_to(migrated), transaction.atomic(), connection.cursor() as cursor:
        organization = make_user("owner").personal_organization
        ensure_wallets([organization.pk], WalletKind.CREDIT)
        cursor.execute("SELECT id FROM ledger_wallet WHERE kind = 'credit'")
        [(credit_id,)] = cursor.fetchall()
        bank_id = store_wallet(WalletKind.TEST_BANK).pk
        transfer(key="first", debit_id=bank_id, credit_id=credit_id, amount_nano=9, kind=TransferKind.GRANT)
        expires_at = timezone.now() + timedelta(hours=1)
        place_holds([NewHold(id=uuid7(), wallet_id=credit_id, amount_nano=5, expires_at=expires_at)])
        keep_plans([Plan(commission_ppm=1, rest_id=organization.pk)])
        freezing.freeze(organization=organization, what=Frozen.SPENDING)
        cursor.execute(
            "INSERT INTO ledger_earningsmark (wallet_id, at, credited_nano) VALUES (%s, now(), 9)", [credit_id]
        )
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename LIKE 'ledger\\_%' ORDER BY 1"
        )
        yield [name for (name,) in cursor.fetchall() if name != MARKS]
        transaction.set_rollback(True)


def refused(statement: str) -> bool:
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)
    except IntegrityError:
        return True
    return False


def columns(table: str) -> list[str]:
    with connection.cursor() as cursor:
        return [column.name for column in connection.introspection.get_table_description(cursor, table)]


def test_every_table_of_the_ledger_is_for_ever(books: list[str]) -> None:
    assert {"ledger_hold", "ledger_sharesplan", "ledger_transfer", "ledger_wallet"} <= set(books)
    for table in books:
        assert refused(f"DELETE FROM {table}"), table
        assert refused(f"TRUNCATE {table} CASCADE"), table


def test_no_column_of_the_ledger_is_edited(books: list[str]) -> None:
    """Not even to what it is: it is the asking that is refused. Of a hold and a freeze only how and when it ends is written, by its one move."""
    by_move = {("ledger_hold", name) for name in ("status", "captured_nano", "resolved_at")} | {
        ("ledger_freeze", "lifted_at")
    }
    for table in books:
        for name in columns(table):
            if (table, name) not in by_move:
                assert refused(f'UPDATE {table} SET "{name}" = "{name}"'), (table, name)
    for statement in (
        "UPDATE ledger_freeze SET lifted_at = lifted_at",
        "UPDATE ledger_hold SET status = status",
        "UPDATE ledger_hold SET captured_nano = 1",
        "UPDATE ledger_hold SET resolved_at = now()",
        "UPDATE ledger_hold SET status = 'captured', captured_nano = 6, resolved_at = now()",
    ):
        assert refused(statement), statement


def test_a_freeze_is_lifted_once(books: list[str]) -> None:
    assert not refused("UPDATE ledger_freeze SET lifted_at = now()")
    assert refused("UPDATE ledger_freeze SET lifted_at = now()")
    assert refused("UPDATE ledger_freeze SET lifted_at = NULL")


def test_a_mark_stays_as_it_was_made_until_it_is_too_old_to_matter(books: list[str]) -> None:
    for name in columns(MARKS):
        assert refused(f'UPDATE {MARKS} SET "{name}" = "{name}"'), name
    assert refused(f"TRUNCATE {MARKS}")
    assert not refused(f"DELETE FROM {MARKS}")


@pytest.mark.parametrize("table", TERMS)
def test_terms_that_money_was_shared_by_are_for_ever(books: list[str], table: str) -> None:
    assert refused(f"UPDATE {table} SET id = id")
    assert refused(f"DELETE FROM {table}")
    assert refused(f"TRUNCATE {table} CASCADE")
