"""Transfers and payouts at Stripe against ours: whatever is wrong on either side is named, and nothing else is."""

from __future__ import annotations

from datetime import timedelta
from itertools import count

import pytest
from django.utils import timezone
from uuid_utils.compat import uuid7

from store.accounts.models import User
from store.payouts.comparing import BANKED, TRANSFER, compare_payouts
from store.payouts.ending import WATCH_DAYS
from store.payouts.models import ConnectAccount, Payout, PayoutStatus
from store.sandbox.models import StripeObject
from tests.sandboxed import Till
from tests.store.payouts.conftest import go_on
from tests.store.payouts.test_payouts import CLOSED, ask, rich

pytestmark = pytest.mark.django_db
EACH = 100  # of each kind of difference
CENT = 10**7
_numbers = count(10**6)


def named() -> set[tuple[str, str]]:
    return {(one.check, one.row) for one in compare_payouts()}


def through(till: Till, user: User) -> Payout:
    """Asked for, and as far as it goes."""
    rich(user)
    payout = ask(user)
    for _turn in range(3):
        go_on()
        till.bank()
    payout.refresh_from_db()
    return payout


@pytest.fixture
def proven() -> None:
    """In the place of the folder's: what is injected here is wrong on purpose."""


def test_every_end_of_a_payout_matches(till: Till, provider: User) -> None:
    account = till.onboard(provider, number=CLOSED)
    assert through(till, provider).status == PayoutStatus.FAILED
    assert compare_payouts() == []
    StripeObject.objects.filter(pk=account.stripe_id).update(
        data={**StripeObject.objects.get(pk=account.stripe_id).data, "bank": "000123456789"}
    )
    paid = through(till, provider)
    assert paid.status == PayoutStatus.PAID
    assert compare_payouts() == []
    till.bank_returns(paid)
    assert named() == {(BANKED.name, str(paid.stripe_payout))}
    go_on()
    assert compare_payouts() == []
    again = through(till, provider)
    till.change(str(again.stripe_transfer), reversed=True, amount_reversed=again.sent_nano // CENT)
    assert named() == {(TRANSFER.name, str(again.stripe_transfer))}
    go_on()
    again.refresh_from_db()
    assert again.status == PayoutStatus.REVERSED
    assert compare_payouts() == []


def test_what_is_on_its_way_matches(till: Till, provider: User, account: ConnectAccount) -> None:
    rich(provider)
    ask(provider)
    assert compare_payouts() == []
    go_on()
    assert Payout.objects.get().status == PayoutStatus.IN_FLIGHT
    assert compare_payouts() == []


def test_a_bank_that_returns_it_when_nobody_looks_any_more_is_named(
    till: Till, provider: User, account: ConnectAccount
) -> None:
    paid = through(till, provider)
    Payout.objects.update(finished_at=timezone.now() - timedelta(days=WATCH_DAYS + 1))
    go_on()
    assert Payout.objects.get().due_at is None
    till.bank_returns(paid)
    go_on()
    assert named() == {(BANKED.name, str(paid.stripe_payout))}


class Sides:
    """Payouts on either side, as a mistake, an attacker or a lost backup would have left them."""

    def __init__(self, account: ConnectAccount) -> None:
        self.account, self.created = account, int(timezone.now().timestamp())
        self.objects: list[StripeObject] = []
        self.payouts: list[Payout] = []

    def write(self) -> None:
        StripeObject.objects.bulk_create(self.objects)
        Payout.objects.bulk_create(self.payouts)

    def _theirs(self, kind: str, id: str, of: str = "", **fields: object) -> str:
        data = {"id": id, "object": kind, "created": self.created, "livemode": False, "currency": "usd", **fields}
        name = f"{of}/{kind}" if of else kind
        self.objects.append(StripeObject(id=id, number=next(_numbers), kind=name, data=data, created=self.created))
        return id

    def transfer(self, name: str, cents: int = 9975, *, back: int = 0) -> str:
        return self._theirs(
            "transfer", f"tr_{name}", amount=cents, amount_reversed=back, reversed=back == cents, destination=self.account.stripe_id,
        )  # fmt: skip

    def banked(self, name: str, status: str = "paid", amount: int = 9975) -> str:
        return self._theirs("payout", f"po_{name}", str(self.account.stripe_id), status=status, amount=amount)

    def ours(
        self, transfer: str, banked: str | None, status: PayoutStatus = PayoutStatus.PAID, cents: int = 9975
    ) -> None:
        now = timezone.now()
        self.payouts.append(
            Payout(
                id=uuid7(), organization_id=self.account.organization_id, account=self.account, status=status, amount_nano=cents * CENT,
                fee_nano=0, available_nano=cents * CENT, earned_until=now, finished_at=now, stripe_transfer=transfer, stripe_payout=banked,
                arrived_minor=cents if banked else None, arrived_currency="usd" if banked else "",
            )
        )  # fmt: skip


def test_every_difference_is_named_and_none_else(till: Till, provider: User, account: ConnectAccount) -> None:
    sides, expected = Sides(account), set()
    for n in range(EACH):
        sides.ours(sides.transfer(f"right{n}"), sides.banked(f"right{n}"))
        sides.ours(sides.transfer(f"back{n}", back=9975), sides.banked(f"back{n}", "failed"), PayoutStatus.FAILED)
        sides.banked(f"their-own{n}", amount=7)
        expected.add((TRANSFER.name, sides.transfer(f"by-hand{n}")))
        sides.ours(f"tr_forged{n}", sides.banked(f"forged{n}"))
        expected.add((TRANSFER.name, f"tr_forged{n}"))
        sides.ours(sides.transfer(f"less{n}", 9900), sides.banked(f"less{n}"))
        expected.add((TRANSFER.name, f"tr_less{n}"))
        sides.ours(sides.transfer(f"in-part{n}", back=5), sides.banked(f"in-part{n}"))
        expected.add((TRANSFER.name, f"tr_in-part{n}"))
        sides.ours(sides.transfer(f"kept{n}"), None, PayoutStatus.FAILED)
        expected.add((TRANSFER.name, f"tr_kept{n}"))
        sides.ours(sides.transfer(f"no-bank{n}"), f"po_no-bank{n}")
        expected.add((BANKED.name, f"po_no-bank{n}"))
        sides.ours(sides.transfer(f"failed{n}"), sides.banked(f"failed{n}", "failed"))
        expected.add((BANKED.name, f"po_failed{n}"))
        sides.ours(sides.transfer(f"amount{n}"), sides.banked(f"amount{n}", amount=1))
        expected.add((BANKED.name, f"po_amount{n}"))
    sides.write()
    assert len(expected) == 8 * EACH
    assert named() == expected
