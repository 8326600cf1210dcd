"""The part of a history in which providers are paid."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, ClassVar

from django.conf import settings
from django.db import connection
from django.utils import timezone
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from store.ledger.earnings import mark_earnings
from store.payouts.actions import cancel_payout, request_payout
from store.payouts.ending import give_back, move, settle_paid, undo_paid
from store.payouts.errors import BelowMinimum, InsufficientEarnings, PayoutPending
from store.payouts.models import Payout, PayoutStatus
from tests.faults.oracle import CENT, Oracle
from tests.faults.world import AGING, EARNERS, FEE, World

places = st.integers(0, 10**6)  # of one of what there is
cents = st.integers(1, 5)


def has(name: str) -> Callable[[Any], bool]:
    return lambda machine: bool(getattr(machine, name))


class PayingOut(RuleBasedStateMachine):
    """Earnings grow old, are paid out, and come back."""

    world: ClassVar[World]
    count: ClassVar[Counter[str]]

    def __init__(self) -> None:
        super().__init__()
        self.oracle = Oracle(cap_ppm=settings.ROYALTY_CAP_PPM)
        self.pending: dict[str, Payout] = {}
        self.in_flight: list[tuple[str, Payout]] = []
        self.arrived: list[tuple[str, Payout]] = []

    @rule(days=st.integers(1, 8))
    def days_pass(self, days: int) -> None:
        """All that was paid and earned was so earlier; what it was is marked before."""
        mark_earnings()
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL session_replication_role = replica")
            for table, column in AGING:
                cursor.execute(f"UPDATE {table} SET {column} = {column} - %s * interval '1 day'", [days])
            cursor.execute("SET LOCAL session_replication_role = origin")
        self.oracle.day += days

    @rule(who=st.sampled_from(EARNERS), cents=st.none() | cents)
    def pay_out(self, who: str, cents: int | None) -> None:
        available = self.oracle.available_earnings(who)
        sent, fee = FEE.most(available if cents is None else cents * CENT)
        try:
            payout = request_payout(
                organization=self.world.of(who),
                user=self.world.users[who],
                amount_nano=None if cents is None else cents * CENT,
            )
        except PayoutPending:
            assert who in self.pending
        except InsufficientEarnings:
            assert available < max(cents or 1, 1) * CENT
        except BelowMinimum:
            assert not sent
        else:
            assert (payout.sent_nano, payout.fee_nano, payout.available_nano) == (sent, fee, available)
            self.oracle.move(f"{who} earnings", f"{who} in_flight", sent + fee)
            self.pending[who] = payout
            self.count["paid out"] += 1

    @precondition(has("pending"))
    @rule(place=places, is_cancelled=st.booleans())
    def send(self, place: int, is_cancelled: bool) -> None:
        """The store's side of what Stripe does; Stripe's own has tests in tests/store/payouts."""
        who = list(self.pending)[place % len(self.pending)]
        payout = self.pending.pop(who)
        if is_cancelled:
            cancel_payout(payout=payout, user=self.world.users[who])
            self._comes_back(who, payout)
        else:
            assert move(payout, PayoutStatus.IN_FLIGHT, expected=PayoutStatus.PENDING, sent_at=timezone.now())
            self.in_flight.append((who, payout))

    @precondition(has("in_flight"))
    @rule(place=places, end=st.sampled_from((PayoutStatus.PAID, PayoutStatus.FAILED, PayoutStatus.REVERSED)))
    def arrives(self, place: int, end: PayoutStatus) -> None:
        """Told twice, and contradicted: the first end counts."""
        who, payout = self.in_flight.pop(place % len(self.in_flight))
        if end == PayoutStatus.PAID:
            assert settle_paid(payout)
            self.oracle.move(f"{who} in_flight", "test_bank", payout.sent_nano)
            self.oracle.move(f"{who} in_flight", "platform", payout.fee_nano)
            self.arrived.append((who, payout))
        else:
            assert give_back(payout, end, code="no_account", message="A step.")
            self._comes_back(who, payout)
        assert not settle_paid(payout)
        assert not give_back(payout, PayoutStatus.FAILED)

    @precondition(has("arrived"))
    @rule(place=places)
    def bank_returns(self, place: int) -> None:
        who, payout = self.arrived.pop(place % len(self.arrived))
        assert undo_paid(payout, code="account_closed", message="A step.")
        self.count["returned"] += 1
        assert not undo_paid(payout, code="account_closed", message="A step.")
        self.oracle.move("test_bank", f"{who} earnings", payout.sent_nano)
        self.oracle.move("platform", f"{who} earnings", payout.fee_nano)

    def _comes_back(self, who: str, payout: Payout) -> None:
        self.oracle.move(f"{who} in_flight", f"{who} earnings", payout.amount_nano)
