"""A plan that can be had, and somebody who pays for it; after every test here the books are right."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from store.accounts.models import User
from store.catalog.models import Listing
from store.ledger.audit import audit
from store.ledger.models import Wallet
from store.subscriptions.actions import PlanSpec, offer_plan, subscribe
from store.subscriptions.models import Subscription, SubscriptionPeriod, SubscriptionPlan
from tests.conftest import DOLLAR
from tests.store.ledger.test_audit import lawless


@pytest.fixture(autouse=True)
def proven(db: None) -> Iterator[None]:
    yield
    assert audit() == []


def make_plan(listing: Listing, user: User, *, dollars: int = 3, **terms: Any) -> SubscriptionPlan:
    """Of a thousand tokens for three dollars, unless told otherwise."""
    fields = {"name": f"For {dollars}", "price_nano": dollars * DOLLAR, **(terms or {"included_tokens": 1_000})}
    return offer_plan(listing=listing, user=user, plan=PlanSpec(**fields))


@pytest.fixture
def plan(listing: Listing, provider: User) -> SubscriptionPlan:
    return make_plan(listing, provider)


@pytest.fixture
def subscription(plan: SubscriptionPlan, consumer: User, wallet: Wallet) -> Subscription:
    """The consumer's, of ten dollars' credit, of which three are spent."""
    return subscribe(organization=consumer.personal_organization, user=consumer, plan=plan)


def let_pass(subscription: Subscription, **time: float) -> None:
    """So much time goes by: everything about the subscription is that much older."""
    ago = timedelta(**time)
    row = Subscription.objects.get(pk=subscription.pk)
    due_at = row.due_at - ago if row.due_at else None
    Subscription.objects.filter(pk=row.pk).update(due_at=due_at, anchor_at=row.anchor_at - ago)
    for period in SubscriptionPeriod.objects.filter(subscription=row):
        move(period, starts_at=period.starts_at - ago, ends_at=period.ends_at - ago)


def move(period: SubscriptionPeriod, **times: Any) -> None:
    """What the database refuses to everybody else: a month at another time."""
    with lawless():
        SubscriptionPeriod.objects.filter(pk=period.pk).update(**times)


def until_due(subscription: Subscription) -> None:
    """The month is over by a second."""
    row = Subscription.objects.get(pk=subscription.pk)
    assert row.due_at
    left = row.due_at - timezone.now()
    let_pass(subscription, seconds=left.total_seconds() + 1)
