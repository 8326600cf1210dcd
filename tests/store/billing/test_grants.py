"""Granted credit is spent first, to the unit; what is left of it goes back, and never more than is there."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.core import mail
from django.db import transaction
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pytest_django.fixtures import Settings
from uuid_utils.compat import uuid7

from store.accounts.models import Membership, Organization, Role, User
from store.billing.actions import top_up_test
from store.billing.grants import (
    MAX_GRANT_NANO,
    count_all,
    due_grants,
    end_grants,
    grant_credit,
    open_grants,
    own_nano,
    warn_of_ends,
    welcome,
)
from store.billing.letters import send_letters
from store.billing.models import Grant, GrantTally
from store.errors import InvalidRequest, PermissionDenied
from store.ledger import actions as ledger
from store.ledger.audit import audit
from store.ledger.models import HoldStatus, TransferKind, Wallet, WalletKind
from tests.conftest import DOLLAR
from tests.sandboxed import Till

pytestmark = pytest.mark.django_db
counter = iter(range(10**9))


@pytest.fixture
def buyer(consumer: User) -> Organization:
    return consumer.personal_organization


def give(to: Organization, by: User, nano: int, *, days: float = 30) -> Grant:
    return grant_credit(
        organization=to, amount_nano=nano, expires_at=timezone.now() + timedelta(days=days), reason="for a test", user=by
    )  # fmt: skip


def credit(of: Organization) -> Wallet:
    return ledger.wallet_of(of.pk, WalletKind.CREDIT)


def spend(of: Organization, nano: int) -> None:
    with transaction.atomic():
        ledger.lock_credit([of.pk])
        ledger.transfer(
            key=f"spent:{next(counter)}", debit_id=credit(of).pk, credit_id=ledger.store_wallet(WalletKind.PLATFORM).pk,
            amount_nano=nano, kind=TransferKind.USAGE,
        )  # fmt: skip


def hold(of: Organization, nano: int) -> ledger.NewHold:
    new = ledger.NewHold(
        id=uuid7(), wallet_id=credit(of).pk, amount_nano=nano, expires_at=timezone.now() + timedelta(hours=1)
    )
    ledger.place_holds([new])
    return new


def resolve(of: Organization, held: ledger.NewHold, captured: int) -> None:
    status = HoldStatus.CAPTURED if captured else HoldStatus.VOIDED
    ledger.resolve_holds([ledger.Resolution(hold_id=held.id, status=status, captured_nano=captured)])
    if captured:
        spend(of, captured)


def expire(grant: Grant, *, ago: timedelta = timedelta(0)) -> None:
    Grant.objects.filter(pk=grant.pk).update(expires_at=timezone.now() - ago)


def test_a_grant_is_paid_by_the_platform_and_adds_to_the_one_wallet(buyer: Organization, admin: User) -> None:
    grant = give(buyer, admin, 5 * DOLLAR)
    assert credit(buyer).available_nano == 5 * DOLLAR
    assert ledger.store_wallet(WalletKind.PLATFORM).posted_nano == -5 * DOLLAR
    assert (grant.left_nano, grant.created_by) == (5 * DOLLAR, admin)


@pytest.mark.parametrize(
    ("field", "value"),
    [("amount_nano", 0), ("amount_nano", MAX_GRANT_NANO + 1), ("expires_at", timezone.now()), ("reason", " ")],
)
def test_what_makes_no_sense_is_not_given(buyer: Organization, admin: User, field: str, value: object) -> None:
    asked = {"amount_nano": 1, "expires_at": timezone.now() + timedelta(days=1), "reason": "x", field: value}
    with pytest.raises(InvalidRequest) as caught:
        grant_credit(organization=buyer, user=admin, **asked)  # type: ignore[arg-type]
    assert caught.value.param == field.removesuffix("_nano")
    assert not Grant.objects.exists()


def test_only_the_people_who_run_the_store_give(buyer: Organization, consumer: User) -> None:
    with pytest.raises(PermissionDenied):
        give(buyer, consumer, DOLLAR)


def test_what_ends_first_is_spent_first_and_what_was_bought_last(buyer: Organization, admin: User) -> None:
    top_up_test(organization=buyer, user=None, amount_nano=20 * DOLLAR)
    spend(buyer, 3 * DOLLAR)  # before there was a grant: of none
    late, early = give(buyer, admin, 10 * DOLLAR, days=20), give(buyer, admin, 5 * DOLLAR, days=10)
    spend(buyer, 7 * DOLLAR)
    assert {grant.pk: grant.left_nano for grant in open_grants(buyer)} == {late.pk: 8 * DOLLAR}
    assert own_nano(buyer.pk) == 17 * DOLLAR
    spend(buyer, 9 * DOLLAR)
    assert own_nano(buyer.pk) == 16 * DOLLAR
    early.refresh_from_db()
    assert early.ended_at
    assert (early.spent_nano, open_grants(buyer)) == (5 * DOLLAR, [])


def test_what_is_left_goes_back_and_what_is_held_is_looked_at_again(buyer: Organization, admin: User) -> None:
    top_up_test(organization=buyer, user=None, amount_nano=20 * DOLLAR)
    grant = give(buyer, admin, 8 * DOLLAR)
    held = hold(buyer, DOLLAR)
    expire(grant)
    assert due_grants() == [buyer.pk]
    assert end_grants(buyer.pk) == 7 * DOLLAR
    assert end_grants(buyer.pk) == 0
    resolve(buyer, held, DOLLAR // 4)
    assert end_grants(buyer.pk) == 3 * DOLLAR // 4
    assert (due_grants(), credit(buyer).posted_nano) == ([], 20 * DOLLAR)
    grant.refresh_from_db()
    assert (grant.spent_nano, grant.returned_nano) == (DOLLAR // 4, 31 * DOLLAR // 4)
    assert ledger.store_wallet(WalletKind.PLATFORM).posted_nano == 0  # the run of this test paid it


def test_a_hold_that_came_after_the_end_keeps_nothing(buyer: Organization, admin: User) -> None:
    top_up_test(organization=buyer, user=None, amount_nano=20 * DOLLAR)
    grant = give(buyer, admin, 8 * DOLLAR)
    expire(grant, ago=timedelta(hours=1))
    hold(buyer, 2 * DOLLAR)
    assert end_grants(buyer.pk) == 8 * DOLLAR


def test_no_more_goes_back_than_is_available(buyer: Organization, admin: User) -> None:
    grant = give(buyer, admin, 8 * DOLLAR)
    expire(grant, ago=timedelta(hours=1))
    held = hold(buyer, 5 * DOLLAR)
    assert end_grants(buyer.pk) == 3 * DOLLAR
    resolve(buyer, held, 0)
    assert end_grants(buyer.pk) == 5 * DOLLAR
    assert credit(buyer).posted_nano == 0


def test_a_refund_and_a_dispute_take_nothing_that_was_granted(till: Till, consumer: User, admin: User) -> None:
    buyer = consumer.personal_organization
    topup = till.buy(consumer)
    till.deliver()
    give(buyer, admin, 10 * DOLLAR)
    spend(buyer, 15 * DOLLAR)  # 10 of them were granted
    give(buyer, admin, 4 * DOLLAR)
    till.v1.refunds.create({"payment_intent": till.intent(topup), "amount": 2500})
    till.deliver()
    assert credit(buyer).posted_nano == 4 * DOLLAR
    assert [grant.left_nano for grant in open_grants(buyer)] == [4 * DOLLAR]


def test_people_are_told_once_before_credit_ends(buyer: Organization, admin: User, stranger: User) -> None:
    Membership.objects.create(organization=buyer, user=stranger, role=Role.BILLING)
    grant = give(buyer, admin, 5 * DOLLAR)
    give(buyer, admin, DOLLAR, days=1)  # it was never longer than the notice
    Grant.objects.filter(pk=grant.pk).update(
        created_at=timezone.now() - timedelta(days=9), expires_at=timezone.now() + timedelta(days=2)
    )
    spend(buyer, 2 * DOLLAR)
    assert [warn_of_ends(), warn_of_ends()] == [1, 0]
    assert send_letters() == 2
    assert send_letters() == 0
    assert {(message.to[0], message.subject.split(" on ")[0]) for message in mail.outbox} == {
        ("consumer@example.com", "$4.00 of credit of consumer ends"), ("stranger@example.com", "$4.00 of credit of consumer ends"),
    }  # fmt: skip


def test_people_who_sign_up_are_welcomed_once(buyer: Organization, settings: Settings) -> None:
    assert welcome() == 0
    settings.SIGNUP_GRANT_NANO = 2 * DOLLAR
    assert [welcome(), welcome()] == [1, 0]
    assert credit(buyer).posted_nano == 2 * DOLLAR


def test_nobody_is_welcomed_before_the_address_is_confirmed(consumer: User, settings: Settings) -> None:
    settings.SIGNUP_GRANT_NANO = 2 * DOLLAR
    consumer.emailaddress_set.update(verified=False)
    assert welcome() == 0


def test_counting_often_or_once_gives_the_same(buyer: Organization, admin: User) -> None:
    give(buyer, admin, 5 * DOLLAR, days=1)
    give(buyer, admin, 5 * DOLLAR, days=2)
    for _turn in range(4):
        spend(buyer, 2 * DOLLAR)
        before = [grant.left_nano for grant in open_grants(buyer)]
        assert count_all() == 1
        assert [grant.left_nano for grant in open_grants(buyer)] == before
    assert before == [2 * DOLLAR]


def test_the_audit_names_a_grant_whose_count_was_changed(
    buyer: Organization, admin: User, request: pytest.FixtureRequest
) -> None:
    grant = give(buyer, admin, 5 * DOLLAR)
    spend(buyer, DOLLAR)
    count_all()
    with transaction.atomic():
        Grant.objects.filter(pk=grant.pk).update(spent_nano=0)
        GrantTally.objects.update(own_nano=7)
        assert {found.check for found in audit()} == {"spending of grants", "granted credit that is left"}
        Grant.objects.filter(pk=grant.pk).update(spent_nano=DOLLAR - 1, returned_nano=1)
        assert "transfers of a grant" in {found.check for found in audit()}
        transaction.set_rollback(True)


STEPS = st.lists(
    st.tuples(st.sampled_from(["buy", "give", "spend", "expire", "hold", "resolve", "count"]), st.integers(1, 60)),
    max_size=25,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_every_history_spends_as_a_purse_of_coins_would(
    buyer: Organization, admin: User, steps: list[tuple[str, int]]
) -> None:
    with transaction.atomic():
        for left_in_a_purse, left_by_the_count in _histories(buyer, admin, steps):
            assert left_by_the_count == left_in_a_purse
        assert audit() == []
        transaction.set_rollback(True)


def _histories(buyer: Organization, admin: User, steps: list[tuple[str, int]]) -> Iterator[tuple[int, int]]:
    """After each step, what was bought and is left: by a purse that knows its coins, and by the count of the store."""
    own, coins, holds = 0, {}, []  # type: ignore[var-annotated]
    for step, n in steps:
        available = credit(buyer).available_nano
        if step == "buy":
            top_up_test(organization=buyer, user=None, amount_nano=n)
            own += n
        elif step == "give":
            coins[give(buyer, admin, n, days=n).pk] = n
        elif step == "spend" and available:
            own -= _take(coins, min(n, available))
            spend(buyer, min(n, available))
        elif step == "hold" and available:
            holds.append(hold(buyer, min(n, available)))
        elif step == "resolve" and holds:
            held = holds.pop(0)
            captured = min(n, held.amount_nano)
            own -= _take(coins, captured)
            resolve(buyer, held, captured)
        elif step == "expire" and coins:
            first = Grant.objects.open().filter(organization=buyer).first()
            if first and not holds:
                expire(first, ago=timedelta(seconds=1))
                assert end_grants(buyer.pk) == coins.pop(first.pk)
        elif step == "count":
            count_all()
        yield own, own_nano(buyer.pk)


def _take(coins: dict[object, int], nano: int) -> int:
    """Spends the coins that end first; returns what was not theirs."""
    order = list(Grant.objects.filter(pk__in=list(coins)).order_by("expires_at", "id").values_list("pk", flat=True))
    for pk in order:
        part = min(coins[pk], nano)
        coins[pk], nano = coins[pk] - part, nano - part
        if not coins[pk]:
            del coins[pk]
    return nano
