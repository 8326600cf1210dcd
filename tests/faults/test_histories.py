"""Histories of the whole ledger: whatever people, banks and workers do, in whatever order, the books are those of plain arithmetic.

Every step goes through the store's own verbs against Postgres; after each one the balances are compared with those of ``oracle``, the caches with
the sums of the rows, and the laws are looked at. A history is one transaction that is rolled back. 100 histories in ``make test``, 10,000 in
``make faults``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
import stripe
from django.conf import settings as store_settings
from django.db import connection, transaction
from django.utils import timezone
from hypothesis import HealthCheck
from hypothesis import settings as of_hypothesis
from hypothesis import strategies as st
from hypothesis.stateful import (
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from pytest_django import Settings
from uuid_utils.compat import uuid7

from store.billing.actions import top_up_test
from store.billing.grants import end_grants, grant_credit, lock_and_count
from store.billing.models import Grant, GrantSource, Topup
from store.billing.reversing import book_dispute, book_refund
from store.catalog.actions import set_commission
from store.catalog.actions.commissions import CommissionSpec
from store.catalog.models import CommissionScope
from store.ledger.actions import lock_credit
from store.ledger.audit import audit
from store.ledger.earnings import earnings_of_all
from store.ledger.sql import execute
from store.runs.actions import expire_holds, open_runs, settle_runs
from store.runs.books import InsufficientCredit, OpenedRun, OpenRun, SettleRun
from store.runs.models import Endpoint, RunStatus
from store.subscriptions.actions import cancel_subscription, renew_subscription, subscribe
from store.subscriptions.actions.renewing import RETRIES
from store.subscriptions.errors import AlreadySubscribed, PlanNotOffered
from store.subscriptions.models import Subscription, SubscriptionPeriod
from tests.faults.oracle import CENT, HELD_BACK_DAYS, Back, Given, Month, OpenCall, Paid
from tests.faults.paying_out import PayingOut, cents, has, places
from tests.faults.world import BALANCES, EARNERS, FEE, PEOPLE, TARIFF, World

pytestmark = [pytest.mark.fault, pytest.mark.django_db(transaction=True)]

HISTORIES, FULL_HISTORIES, STEPS = 100, 10_000, 14
MOST_S = 4 * 3600  # on a machine with much else to do


class Histories(PayingOut):
    """One history. Lists hold what can be acted on, each with what the oracle knows of it."""

    def __init__(self) -> None:
        super().__init__()
        self.around = transaction.atomic()
        self.around._from_testcase = True  # as Django's TestCase says, so that durable verbs may run inside
        self.around.__enter__()
        self.commission_ppm = store_settings.COMMISSION_PPM
        self.open: list[tuple[UUID, OpenCall]] = []
        self.old: list[tuple[UUID, OpenCall]] = []  # whose holds have expired, and nobody has looked yet
        self.ended: list[UUID] = []
        self.paid: list[tuple[Topup, Paid]] = []
        self.refunds: list[tuple[Topup, stripe.Refund, Back]] = []
        self.disputes: list[tuple[Topup, stripe.Dispute, Back]] = []
        self.over: list[tuple[Topup, stripe.Dispute]] = []
        self.given: list[tuple[UUID, str, Given]] = []
        self.clock = 0  # the least end that a grant can be given
        self.months: dict[tuple[str, str], Month] = {}  # that last, by who has them of which model
        self.subscriptions: dict[tuple[str, str], int] = {}  # that live

    def teardown(self) -> None:
        try:
            assert audit() == []
            self.count["histories"] += 1
        finally:
            transaction.set_rollback(True)
            self.around.__exit__(None, None, None)

    @initialize(is_spent=st.booleans(), days=st.integers(0, 8))
    def trade(self, is_spent: bool, days: int) -> None:
        """Half of all histories begin with money that was spent and earned: so that there is something to pay out and to claw back."""
        if is_spent:
            self.top_up("ann", 20)
            self.hold("ann", "tuned", 5000, 300, is_old=False)
            self.capture(0, 1, RunStatus.SUCCEEDED)
            self.days_pass(days)

    @rule(who=st.sampled_from(PEOPLE), cents=cents)
    def top_up(self, who: str, cents: int) -> None:
        nano = cents * CENT
        topup = top_up_test(organization=self.world.of(who), user=self.world.users[who], amount_nano=nano)
        self.oracle.move("test_bank", f"{who} credit", nano)
        self.paid.append((topup, Paid(who, nano, len(self.oracle.earned))))

    @rule(who=st.sampled_from(PEOPLE), cents=cents, days=st.integers(1, 100))
    def grant(self, who: str, cents: int, days: int) -> None:
        """Each ends at a moment of its own, in the order of ``Given.ends``."""
        self.clock += 1
        ends = days * 1_000_000 + self.clock
        grant = grant_credit(
            organization=self.world.of(who), amount_nano=cents * CENT, source=GrantSource.PROMO, reason="A step.",
            expires_at=self.world.began + timedelta(days=days + 1, microseconds=self.clock),
        )  # fmt: skip
        self.given.append((grant.pk, who, self.oracle.give(who, cents * CENT, ends=ends)))

    @precondition(has("given"))
    @rule(place=places)
    def grant_ends(self, place: int) -> None:
        pk, who, given = self.given.pop(place % len(self.given))
        organization = self.world.of(who).pk
        lock_and_count(organization)  # what was spent until now was spent in the order of the ends as they were
        Grant.objects.filter(pk=pk).update(expires_at=timezone.now())
        self.clock += 1
        given.ends = self.clock
        assert end_grants(organization) == self.oracle.end(who, now=self.clock)

    @rule(ppm=st.integers(0, 1_000_000))
    def set_commission(self, ppm: int) -> None:
        set_commission(
            spec=CommissionSpec(name="All", scope=CommissionScope.GLOBAL, ppm=ppm), user=None, reason="A step."
        )
        self.commission_ppm = ppm

    @rule(
        who=st.sampled_from(PEOPLE), name=st.sampled_from(("plain", "tuned")), prompt=st.integers(1, 200),
        asked=st.none() | st.integers(1, 200), is_old=st.booleans(),
    )  # fmt: skip
    def hold(self, who: str, name: str, prompt: int, asked: int | None, is_old: bool) -> None:
        listing, model, left = self.world.listings[name], self.world.models[name], self.oracle.available(who)
        request = OpenRun(
            run_id=uuid7(), organization_id=self.world.of(who).pk, user_id=None, api_key_id=None, listing_id=listing.pk,
            release_id=listing.current_release_id or 0, gateway_id=self.world.gateway_id, endpoint=Endpoint.CHAT, request_id="step",
            is_stream=False, prompt_tokens=prompt, max_tokens=asked, context_left=300,
        )  # fmt: skip
        [answer] = open_runs([request], at=timezone.now() - timedelta(hours=2 if is_old else 0))
        month = self.months.get((who, name), Month(0))
        of_prompt, of_output = month.cover(prompt, asked or 300)
        beyond = TARIFF.affordable(prompt - of_prompt, left)
        most = min(asked or 300, of_output + beyond)
        if beyond < 0 or most < (asked or 1):
            assert isinstance(answer, InsufficientCredit)
            return
        of_prompt, of_output = month.cover(prompt, most)
        month.use(of_prompt, of_output)
        held = TARIFF.charge(prompt - of_prompt, most - of_output)
        assert isinstance(answer, OpenedRun)
        assert (answer.max_tokens, answer.held_nano) == (most, held)
        self.oracle.held[who] += held
        call = OpenCall(who, model, prompt, most, held, self.commission_ppm, month, of_prompt, of_output)
        (self.old if is_old else self.open).append((answer.run_id, call))

    @precondition(has("open"))
    @rule(place=places, share=st.fractions(0, 1, max_denominator=20), status=st.sampled_from(RunStatus))
    def capture(self, place: int, share: Any, status: RunStatus) -> None:
        run_id, call = self.open.pop(place % len(self.open))
        status = RunStatus.FAILED if status == RunStatus.OPEN else status
        tokens = int(call.max_tokens * share)
        [settled] = settle_runs([SettleRun(run_id=run_id, status=status, output_tokens=tokens)])
        is_paid = status == RunStatus.SUCCEEDED or tokens > 0
        assert (settled.now, settled.charge_nano) == (True, self.oracle.settle(call, tokens, is_paid=is_paid))
        self.ended.append(run_id)

    @precondition(has("open"))
    @rule()
    def void_all(self) -> None:
        settle_runs(
            [SettleRun(run_id=run_id, status=RunStatus.CANCELLED, output_tokens=0) for run_id, _call in self.open]
        )
        for run_id, call in self.open:
            self.oracle.settle(call, 0, is_paid=False)
            self.ended.append(run_id)
        self.open.clear()

    @precondition(has("old"))
    @rule()
    def expire(self) -> None:
        assert expire_holds() == len(self.old)
        for run_id, call in self.old:
            self.oracle.settle(call, 0, is_paid=False)
            self.ended.append(run_id)
        self.old.clear()

    @precondition(has("ended"))
    @rule(place=places, tokens=st.integers(0, 10))
    def settle_again(self, place: int, tokens: int) -> None:
        run_id = self.ended[place % len(self.ended)]
        [settled] = settle_runs([SettleRun(run_id=run_id, status=RunStatus.SUCCEEDED, output_tokens=tokens)])
        assert not settled.now

    @precondition(has("paid"))
    @rule(place=places, cents=cents)
    def refund(self, place: int, cents: int) -> None:
        topup, paid = self.paid[place % len(self.paid)]
        nano = min(cents * CENT, paid.nano - paid.gone)
        if nano:
            said = stripe.Refund.construct_from(
                {"id": f"re_{uuid7()}", "amount": nano // CENT, "status": "succeeded", "metadata": {}}, None
            )
            self._book(book_refund, topup, said)
            self.refunds.append((topup, said, self.oracle.take_back(paid, nano, to="test_bank")))

    @precondition(has("refunds"))
    @rule(place=places)
    def refund_fails(self, place: int) -> None:
        topup, said, back = self.refunds.pop(place % len(self.refunds))
        self._book(book_refund, topup, stripe.Refund.construct_from({**said.to_dict(), "status": "failed"}, None))
        self.oracle.give_back(back, source="test_bank")

    @precondition(has("paid"))
    @rule(place=places, cents=cents)
    def dispute(self, place: int, cents: int) -> None:
        topup, paid = self.paid[place % len(self.paid)]
        nano = min(cents * CENT, paid.nano - paid.gone)
        if nano:
            said = stripe.Dispute.construct_from(
                {"id": f"du_{uuid7()}", "amount": nano // CENT, "status": "needs_response"}, None
            )
            self._book(book_dispute, topup, said)
            self.disputes.append((topup, said, self.oracle.take_back(paid, nano, to=f"{paid.payer} disputed")))

    @precondition(has("disputes"))
    @rule(place=places, is_won=st.booleans())
    def decide(self, place: int, is_won: bool) -> None:
        topup, said, back = self.disputes.pop(place % len(self.disputes))
        decided = stripe.Dispute.construct_from({**said.to_dict(), "status": "won" if is_won else "lost"}, None)
        self._book(book_dispute, topup, decided)
        frozen = f"{back.paid.payer} disputed"
        if is_won:
            self.oracle.give_back(back, source=frozen)
        else:
            self.oracle.move(frozen, "test_bank", back.nano)
            self.count["clawed back"] += self.oracle.claw_back(back) > 0
        self.over.append((topup, decided))

    @precondition(has("over"))
    @rule(place=places)
    def decide_again(self, place: int) -> None:
        self._book(book_dispute, *self.over[place % len(self.over)])

    @rule(who=st.sampled_from(PEOPLE), name=st.sampled_from(("plain", "tuned")))
    def subscribe(self, who: str, name: str) -> None:
        plan, has_credit = self.world.plans[name], self.oracle.available(who) >= self.world.plans[name].price_nano
        try:
            made = subscribe(organization=self.world.of(who), user=self.world.users[who], plan=plan)
        except PlanNotOffered:
            assert who == "seller"
        except AlreadySubscribed:
            assert (who, name) in self.subscriptions
        except InsufficientCredit:
            assert not has_credit
        else:
            assert has_credit
            self.subscriptions[who, name] = made.pk
            self._begin_month(who, name)

    @precondition(has("subscriptions"))
    @rule(place=places)
    def month_is_over(self, place: int) -> None:
        who, name = self._subscribed(place)
        pk, now = self.subscriptions[who, name], timezone.now()
        SubscriptionPeriod.objects.filter(subscription=pk, ends_at__gt=now).update(ends_at=now)
        Subscription.objects.filter(pk=pk).update(due_at=now)
        attempts = Subscription.objects.get(pk=pk).attempts
        self.months.pop((who, name), None)
        renew_subscription(pk)
        if self.oracle.available(who) >= self.world.plans[name].price_nano:
            self._begin_month(who, name)
        elif attempts == RETRIES:
            del self.subscriptions[who, name]

    @precondition(has("subscriptions"))
    @rule(place=places)
    def unsubscribe(self, place: int) -> None:
        who, name = self._subscribed(place)
        subscription = Subscription.objects.get(pk=self.subscriptions.pop((who, name)))
        cancel_subscription(subscription=subscription, user=self.world.users[who], at_once=True)
        self.months.pop((who, name), None)

    def _subscribed(self, place: int) -> tuple[str, str]:
        return list(self.subscriptions)[place % len(self.subscriptions)]

    def _begin_month(self, who: str, name: str) -> None:
        plan, model = self.world.plans[name], self.world.models[name]
        commission, cap = self.commission_ppm, self.oracle.cap_ppm
        self.oracle.pay(who, model.shares(plan.price_nano, commission_ppm=commission, cap_ppm=cap, payer=who))
        self.months[who, name] = Month(plan.included_tokens, plan.included_input or 0, plan.included_output or 0)

    def _book(self, verb: Callable[[Topup, Any], None], topup: Topup, said: Any) -> None:
        """Twice, as Stripe's events come: the second time moves nothing."""
        lock_credit([topup.organization_id])
        topup.refresh_from_db()
        verb(topup, said)
        verb(topup, said)

    @invariant()
    def books_are_right(self) -> None:
        self.count["steps"] += 1
        rows = execute(BALANCES)
        assert sum(posted for _name, posted, *_more in rows) == 0
        for name, posted, held, moved, open_holds in rows:
            assert (posted, held) == (moved, open_holds), name
            owner, _space, kind = name.rpartition(" ")
            assert posted == self.oracle.posted[name], name
            assert held == (self.oracle.held[owner] if kind == "credit" else 0), name
            assert kind not in ("credit", "disputed", "earnings", "in_flight") or posted - held >= 0, name
        found = earnings_of_all([self.world.of(name).pk for name in EARNERS])
        for name in EARNERS:
            assert found[self.world.of(name).pk].available_nano == self.oracle.available_earnings(name), name


@pytest.mark.timeout(MOST_S)
def test_every_history_ends_in_books_that_are_right(full: bool, settings: Settings) -> None:
    settings.EARNINGS_HOLD_BACK_DAYS = HELD_BACK_DAYS
    settings.PAYOUT_MINIMUM_NANO, settings.PAYOUT_FEE_NANO, settings.PAYOUT_FEE_PPM = CENT, FEE.flat, FEE.ppm
    Histories.world, Histories.count = World(), Counter()
    wanted = FULL_HISTORIES if full else HISTORIES
    run_state_machine_as_test(
        Histories,
        settings=of_hypothesis(
            max_examples=wanted,
            stateful_step_count=STEPS,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    assert Histories.count["histories"] >= wanted
    assert not full or all(Histories.count[deed] for deed in ("paid out", "returned", "clawed back"))
    assert not connection.in_atomic_block
