"""Earnings become available some days after they came in: to the unit, whatever was paid out, came back or was clawed back meanwhile."""

from __future__ import annotations

import random
from itertools import count

import pytest
from django.db import IntegrityError, connection, transaction
from pytest_django.fixtures import Settings

from store.accounts.models import Organization, User
from store.ledger.actions import store_wallet, transfer, wallet_of
from store.ledger.audit import audit
from store.ledger.earnings import claw_back, earnings_of, forget_marks, mark_earnings, mark_now, release, releases
from store.ledger.models import EarningsMark, EarningsRelease, TransferKind, Wallet, WalletKind
from tests.store.ledger.test_audit import lawless
from tests.store.payouts.conftest import earn, pass_days

pytestmark = pytest.mark.django_db
_numbers = count()


@pytest.fixture
def seller(provider: User) -> Organization:
    return provider.personal_organization


def pay_out(seller: Organization, amount_nano: int) -> None:
    transfer(
        key=f"out:{next(_numbers)}", debit_id=wallet_of(seller.pk, WalletKind.EARNINGS).pk, amount_nano=amount_nano,
        credit_id=store_wallet(WalletKind.TEST_BANK).pk, kind=TransferKind.CORRECTION,
    )  # fmt: skip


def take(seller: Organization, amount_nano: int, key: str = "") -> int:
    return claw_back(
        key=key or f"claw:{next(_numbers)}", organization_id=seller.pk, at_most_nano=amount_nano,
        credit_id=store_wallet(WalletKind.PLATFORM).pk,
    )  # fmt: skip


def state(seller: Organization) -> tuple[int, int]:
    """(available, held back)."""
    found = earnings_of(seller.pk)
    return found.available_nano, found.held_back_nano


def test_who_never_earned_has_nothing(seller: Organization) -> None:
    assert state(seller) == (0, 0)
    assert releases(earnings_of(seller.pk)) == []
    assert take(seller, 5) == 0


def test_earnings_are_held_back_for_seven_days(seller: Organization) -> None:
    earn(seller, 100)
    assert state(seller) == (0, 100)
    pass_days(6.9)
    earn(seller, 7)
    assert state(seller) == (0, 107)
    pass_days(0.2)
    assert state(seller) == (100, 7)
    pay_out(seller, 60)
    assert state(seller) == (40, 7)
    pass_days(7)
    assert state(seller) == (47, 0)
    assert audit() == []


def test_a_hold_back_of_no_days_waits_for_no_mark(seller: Organization, settings: Settings) -> None:
    settings.EARNINGS_HOLD_BACK_DAYS = 0
    earn(seller, 100)
    assert state(seller) == (100, 0)


def test_what_comes_back_is_available_at_once(seller: Organization) -> None:
    earn(seller, 100)
    pass_days(8)
    pay_out(seller, 100)
    earn(seller, 5)
    transfer(
        key="back", debit_id=store_wallet(WalletKind.TEST_BANK).pk, amount_nano=100, kind=TransferKind.RETURN,
        credit_id=wallet_of(seller.pk, WalletKind.EARNINGS).pk,
    )  # fmt: skip
    assert state(seller) == (100, 5)


def test_a_clawback_takes_what_is_held_back_and_no_more(seller: Organization) -> None:
    earn(seller, 100)
    pass_days(8)
    earn(seller, 30)
    assert take(seller, 50, "claw") == 30
    assert take(seller, 50, "claw") == 30
    assert state(seller) == (100, 0)
    assert take(seller, 1) == 0
    assert audit() == []


def test_what_is_earned_after_a_clawback_is_held_back_from_its_own_beginning(seller: Organization) -> None:
    earn(seller, 100)
    pass_days(6)
    assert take(seller, 100) == 100
    earn(seller, 100)
    pass_days(1.5)  # the first hundred would be free now, and is gone
    assert state(seller) == (0, 100)
    pass_days(6)
    assert state(seller) == (100, 0)


def test_what_will_be_available_is_said_with_its_time(seller: Organization) -> None:
    earn(seller, 100)
    pass_days(3)
    earn(seller, 40)
    pass_days(2)
    earn(seller, 8)
    take(seller, 20)
    shown = releases(earnings_of(seller.pk))
    assert [one.amount_nano for one in shown] == [100, 28]
    assert (shown[1].at - shown[0].at).days == 3


def test_an_earnings_wallet_never_goes_below_zero(seller: Organization) -> None:
    earn(seller, 10)
    with pytest.raises(IntegrityError, match="wallet_of_a_provider_not_negative"), transaction.atomic():
        pay_out(seller, 11)
    assert state(seller) == (0, 10)


def test_old_marks_go_and_change_nothing(seller: Organization) -> None:
    for _turn in range(3):
        earn(seller, 10)
        pass_days(50)
    before = state(seller)
    assert forget_marks() == 1
    assert EarningsMark.objects.count() == 2
    assert state(seller) == before == (30, 0)


def test_a_wallet_is_marked_only_where_something_came_in(seller: Organization) -> None:
    earn(seller, 10)
    assert [mark_earnings(), mark_earnings()] == [1, 0]


def let_go(seller: Organization) -> int:
    mark = mark_now(seller.pk)
    assert mark
    return release(organization_id=seller.pk, mark_id=mark)


def test_what_is_let_go_is_available_at_once_and_what_comes_later_is_not(seller: Organization) -> None:
    earn(seller, 100)
    assert [let_go(seller), let_go(seller)] == [100, 0]
    earn(seller, 7)
    assert state(seller) == (100, 7)
    assert [one.amount_nano for one in releases(earnings_of(seller.pk))] == [7]
    pay_out(seller, 60)
    pass_days(6)
    assert state(seller) == (40, 7)
    pass_days(2)
    assert state(seller) == (47, 0)
    assert audit() == []


def test_what_was_let_go_is_not_clawed_back(seller: Organization) -> None:
    earn(seller, 100)
    let_go(seller)
    earn(seller, 30)
    assert take(seller, 500) == 30
    assert take(seller, 500) == 0
    earn(seller, 5)
    assert state(seller) == (100, 5)
    assert audit() == []


def test_what_was_clawed_back_before_it_is_let_go_is_not_made_up_for(seller: Organization) -> None:
    earn(seller, 100)
    mark = mark_now(seller.pk)
    assert mark
    assert take(seller, 40) == 40
    earn(seller, 50)
    assert release(organization_id=seller.pk, mark_id=mark) == 60
    assert state(seller) == (60, 50)


def test_of_who_never_earned_nothing_is_let_go(seller: Organization) -> None:
    assert mark_now(seller.pk) is None


def test_a_release_is_of_what_came_in_and_stays(seller: Organization, wallet: Wallet) -> None:
    earn(seller, 100)
    let_go(seller)
    earnings = wallet_of(seller.pk, WalletKind.EARNINGS)
    insert = "INSERT INTO ledger_earningsrelease (wallet_id, credited_nano) VALUES"
    for query in (
        f"{insert} ({earnings.pk}, 101)",
        f"{insert} ({wallet.pk}, 1)",
        "UPDATE ledger_earningsrelease SET credited_nano = 1",
        "DELETE FROM ledger_earningsrelease",
    ):
        with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(query)
    with lawless():
        EarningsRelease.objects.update(credited_nano=101)
    assert {one.check for one in audit()} == {"release of earnings"}
    with lawless():
        EarningsRelease.objects.update(credited_nano=100)


@pytest.mark.parametrize("seed", range(8))
def test_any_history_agrees_with_a_stack_of_single_earnings(seller: Organization, seed: int) -> None:
    """The model: each earning is a row with its age; a clawback takes the youngest; what is older than seven days is free,
    and so is what was there when a mark was made that somebody has let go."""
    dice, paid = random.Random(seed), 0
    stack: list[list[float]] = []
    mark: int | None = None  # that somebody has asked to let go
    marked: list[list[float]] = []
    for _turn in range(40):
        match dice.choice(["earn", "earn", "claw", "pay", "wait", "mark", "release"]):
            case "earn":
                amount = dice.randint(1, 100)
                earn(seller, amount)
                stack.append([amount, 0])
            case "claw":
                wanted = dice.randint(1, 150)
                left = wanted = min(wanted, sum(int(amount) for amount, age in stack if age < 7))
                assert take(seller, wanted) == wanted
                while left:
                    part = min(left, int(stack[-1][0]))
                    stack[-1][0] -= part
                    left -= part
                    if not stack[-1][0]:
                        stack.pop()
            case "pay":
                free = sum(int(amount) for amount, age in stack if age >= 7) - paid
                assert state(seller)[0] == free
                if free:
                    amount = dice.randint(1, free)
                    pay_out(seller, amount)
                    paid += amount
            case "mark":
                mark, marked = mark_now(seller.pk), list(stack)
            case "release" if mark:
                wanted = sum(int(amount) for amount, age in marked if age < 7)
                assert release(organization_id=seller.pk, mark_id=mark) == wanted
                for one in marked:
                    one[1] = max(one[1], 7)
            case "wait":
                days = dice.choice([0.5, 1, 3])
                pass_days(days)
                for one in stack:
                    one[1] += days
        free = sum(int(amount) for amount, age in stack if age >= 7) - paid
        held = sum(int(amount) for amount, age in stack if age < 7)
        assert state(seller) == (free, held)
        assert sum(one.amount_nano for one in releases(earnings_of(seller.pk))) == held
    assert audit() == []


def test_the_audit_names_a_count_and_a_mark_that_are_wrong(seller: Organization) -> None:
    earn(seller, 10)
    mark_earnings()
    wallet = wallet_of(seller.pk, WalletKind.EARNINGS)
    with lawless():
        wallet.__class__.objects.filter(pk=wallet.pk).update(credited_nano=11)
        EarningsMark.objects.update(credited_nano=11)
    found = {one.check: one for one in audit()}
    assert set(found) == {"credited count", "newest mark of earnings"}
    assert (found["credited count"].expected, found["credited count"].found) == ("10", "11")
    with lawless():
        wallet.__class__.objects.filter(pk=wallet.pk).update(credited_nano=10)
        EarningsMark.objects.update(credited_nano=10)
