"""Stripe against the books: a thousand differences on either side are all named, and nothing else is."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.utils import timezone
from uuid_utils.compat import uuid7

from store.accounts.models import User
from store.billing.comparing import DISPUTE, PAYMENT, REFUND, compare_payments
from store.billing.models import Dispute, DisputeStatus, Refund, Topup, TopupMode, TopupStatus
from store.ledger.audit import audit
from store.sandbox.models import StripeObject
from tests.sandboxed import Till

pytestmark = pytest.mark.django_db
KINDS = 10  # ways in which the sides can differ
EACH = 100  # of each: a thousand in all
RIGHT = 60  # payments that are as they should be, with refunds and disputes
DOLLAR = 10**9


@pytest.fixture
def proven() -> None:
    """In the place of the folder's: what is injected here is wrong on purpose."""


def named() -> set[tuple[str, str]]:
    return {(one.check, one.row) for one in compare_payments()}


class Sides:
    """Rows on either side, written as a mistake, an attacker or a lost backup would have left them."""

    def __init__(self, user: User) -> None:
        self.organization = user.personal_organization
        self.objects: list[StripeObject] = []
        self.number = StripeObject.objects.count()
        self.topups: list[Topup] = []
        self.refunds: list[Refund] = []
        self.disputes: list[Dispute] = []

    def theirs(self, kind: str, id: str, **fields: Any) -> str:
        self.number += 1
        created = int(timezone.now().timestamp())
        data = {"id": id, "object": kind, "created": created, "livemode": False, "currency": "usd", **fields}
        self.objects.append(StripeObject(id=id, number=self.number, kind=kind, data=data, created=created))
        return id

    def ours(self, intent: str | None, cents: int) -> Topup:
        topup = Topup(
            id=UUID(str(uuid7())), organization=self.organization, amount_nano=cents * DOLLAR // 100, mode=TopupMode.TEST,
            status=TopupStatus.PAID, payment_intent=intent,
        )  # fmt: skip
        self.topups.append(topup)
        return topup

    def payment(self, name: str, cents: int = 1000) -> str:
        return self.theirs(
            "payment_intent", f"pi_{name}", status="succeeded", amount=cents, amount_received=cents, metadata={}
        )

    def refund(self, name: str, intent: str, cents: int = 100, status: str = "succeeded") -> str:
        return self.theirs("refund", f"re_{name}", status=status, amount=cents, payment_intent=intent)

    def dispute(self, name: str, intent: str, status: str = "needs_response", cents: int = 300) -> str:
        return self.theirs("dispute", f"dp_{name}", status=status, amount=cents, payment_intent=intent)

    def our_refund(self, id: str, topup: Topup, cents: int = 100) -> None:
        self.refunds.append(Refund(id=id, topup=topup, amount_nano=cents * DOLLAR // 100, from_credit_nano=0))

    def our_dispute(self, id: str, topup: Topup, status: str = DisputeStatus.OPEN, cents: int = 300) -> None:
        self.disputes.append(
            Dispute(id=id, topup=topup, amount_nano=cents * DOLLAR // 100, from_credit_nano=0, status=status)
        )

    def write(self) -> None:
        random.shuffle(self.objects)
        for rows in (self.objects, self.topups, self.refunds, self.disputes):
            type(rows[0])._default_manager.bulk_create(rows)  # type: ignore[arg-type]


def differ(sides: Sides) -> Iterator[tuple[str, str]]:
    """One of each kind of difference at a time, and what must be named."""
    for n in range(EACH):
        yield PAYMENT.name, sides.payment(f"unknown{n}")
        sides.ours(sides.payment(f"amount{n}"), 999)
        yield PAYMENT.name, f"pi_amount{n}"
        sides.ours(f"pi_forged{n}", 1000)
        yield PAYMENT.name, f"pi_forged{n}"
        sides.ours(
            sides.theirs("payment_intent", f"pi_unpaid{n}", status="canceled", amount=1, amount_received=0), 1000
        )
        yield PAYMENT.name, f"pi_unpaid{n}"
        intent = sides.payment(f"host{n}", 5000)
        topup = sides.ours(intent, 5000)
        yield REFUND.name, sides.refund(f"unknown{n}", intent)
        sides.our_refund(sides.refund(f"amount{n}", intent, 100), topup, 101)
        yield REFUND.name, f"re_amount{n}"
        sides.our_refund(f"re_forged{n}", topup)
        yield REFUND.name, f"re_forged{n}"
        yield DISPUTE.name, sides.dispute(f"unknown{n}", intent)
        sides.our_dispute(sides.dispute(f"decided{n}", intent, "lost"), topup)
        yield DISPUTE.name, f"dp_decided{n}"
        sides.our_dispute(f"dp_forged{n}", topup, DisputeStatus.WON)
        yield DISPUTE.name, f"dp_forged{n}"


def agree(sides: Sides) -> None:
    for n in range(RIGHT):
        intent = sides.payment(f"right{n}", 2000 + n)
        topup = sides.ours(intent, 2000 + n)
        sides.our_refund(sides.refund(f"right{n}", intent), topup)
        sides.our_dispute(
            sides.dispute(f"right{n}", intent, "won" if n % 2 else "under_review"), topup, "won" if n % 2 else "open"
        )
        sides.refund(f"failed{n}", intent, 700, "failed")
        sides.refund(f"gone{n}", sides.payment(f"gone{n}", 700), 700)
        sides.theirs("payment_intent", f"pi_waits{n}", status="requires_payment_method", amount=5, amount_received=0)


def test_a_thousand_differences_are_all_named_and_none_else(till: Till, consumer: User) -> None:
    sides = Sides(consumer)
    agree(sides)
    expected = set(differ(sides))
    assert len(expected) == KINDS * EACH == 1000
    sides.write()
    assert named() == expected


def test_what_went_through_the_till_matches(till: Till, consumer: User) -> None:
    paid, won, lost = till.buy(consumer), till.buy(consumer), till.buy(consumer)
    till.deliver()
    till.v1.refunds.create({"payment_intent": till.intent(paid), "amount": 500})
    disputes = till.dispute(won), till.dispute(lost)
    till.deliver()
    assert compare_payments() == []
    till.decide(disputes[0], won=True)
    till.decide(disputes[1], won=False)
    assert named() == {(DISPUTE.name, disputes[0]), (DISPUTE.name, disputes[1])}
    till.deliver()
    assert compare_payments() == []
    assert audit() == []


def test_a_refund_that_failed_was_moved_back(till: Till, consumer: User) -> None:
    paid = till.buy(consumer)
    till.deliver()
    refund = till.v1.refunds.create({"payment_intent": till.intent(paid), "amount": 500})
    till.deliver()
    till.change(refund.id, status="failed")
    assert named() == {(REFUND.name, refund.id)}


def test_a_payment_that_nobody_asked_for_is_named_until_it_has_gone_back(till: Till, consumer: User) -> None:
    paid = till.buy(consumer)
    intent = till.intent(paid)
    assert named() == {(PAYMENT.name, intent)}
    till.v1.refunds.create({"payment_intent": intent})
    with connection.cursor() as cursor:
        cursor.execute("UPDATE billing_topup SET status = 'expired' WHERE id = %s", [paid.pk])
    assert named() == set()


def test_a_payment_with_tax_is_what_the_customer_paid_in_all(till: Till, consumer: User) -> None:
    till.buy(consumer, country="DE")
    till.deliver()
    topup = Topup.objects.get()
    assert topup.tax_nano > 0
    assert compare_payments() == []
    Topup.objects.update(tax_nano=0)
    assert named() == {(PAYMENT.name, till.intent(topup))}
