"""Months follow each other, plans change, and subscriptions end."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from store.accounts.models import User
from store.billing.actions import top_up_test
from store.catalog.models import Listing, ListingStatus, Notice
from store.errors import NotFound
from store.ledger.actions import store_wallet, transfer
from store.ledger.errors import InsufficientCredit
from store.ledger.models import TransferKind, Wallet, WalletKind
from store.subscriptions.actions import (
    cancel_subscription,
    change_plan,
    due_subscriptions,
    renew_subscription,
    resume_subscription,
    retire_plan,
)
from store.subscriptions.actions.changing import unused_nano
from store.subscriptions.errors import PlanNotOffered, SubscriptionEnded
from store.subscriptions.models import EndReason, Subscription, SubscriptionPeriod, SubscriptionStatus
from store.webhooks.actions import create_endpoint
from store.webhooks.models import WebhookEvent
from tests.conftest import DOLLAR
from tests.store.subscriptions.conftest import let_pass, make_plan, move, until_due
from workers.subscriptions import renew_due

pytestmark = pytest.mark.django_db


def balance(wallet: Wallet) -> int:
    """In whole dollars."""
    wallet.refresh_from_db()
    return wallet.posted_nano // DOLLAR


def spend_all(wallet: Wallet) -> None:
    wallet.refresh_from_db()
    to = store_wallet(WalletKind.PLATFORM).pk
    transfer(key="gone", debit_id=wallet.pk, credit_id=to, amount_nano=wallet.posted_nano, kind=TransferKind.CORRECTION)


def now_of(subscription: Subscription) -> Subscription:
    return Subscription.objects.get(pk=subscription.pk)


def test_the_next_month_is_paid_when_the_last_is_over_and_once(subscription: Subscription, wallet: Wallet) -> None:
    renew_subscription(subscription.pk)
    assert (balance(wallet), due_subscriptions()) == (7, [])
    until_due(subscription)
    assert due_subscriptions() == [subscription.pk]
    first = subscription.period
    for _turn in range(2):
        renew_due()
    assert balance(wallet) == 4
    second = now_of(subscription).period
    assert second.starts_at == SubscriptionPeriod.objects.get(pk=first.pk).ends_at
    assert now_of(subscription).due_at == second.ends_at > timezone.now() + timedelta(days=27)


def test_a_month_that_is_paid_late_begins_when_it_is_paid(subscription: Subscription) -> None:
    until_due(subscription)
    let_pass(subscription, hours=5)
    renew_due()
    assert timezone.now() - now_of(subscription).period.starts_at < timedelta(minutes=5)


def test_without_credit_it_is_tried_daily_and_ends_after_three_more_times(
    subscription: Subscription, wallet: Wallet, consumer: User
) -> None:
    create_endpoint(organization=consumer.personal_organization, user=consumer, url="http://127.0.0.1:9/hook")
    spend_all(wallet)
    until_due(subscription)
    for attempt in (1, 2, 3):
        renew_due()
        row = now_of(subscription)
        assert (row.status, row.attempts) == (SubscriptionStatus.PAST_DUE, attempt)
        renew_due()
        assert now_of(subscription).attempts == attempt
        let_pass(subscription, days=1, seconds=1)
    renew_due()
    row = now_of(subscription)
    assert (row.status, row.end_reason, row.due_at) == (SubscriptionStatus.ENDED, EndReason.UNPAID, None)
    assert list(Notice.objects.order_by("pk").values_list("kind", "user__email")) == [
        ("sub_past_due", consumer.email), ("sub_ended", consumer.email),
    ]  # fmt: skip
    told = list(WebhookEvent.objects.order_by("pk").values_list("type", flat=True))
    assert sorted(told) == ["subscription.ended", "subscription.past_due"]


def test_new_credit_brings_it_back_with_a_whole_month_from_then_on(
    subscription: Subscription, wallet: Wallet, consumer: User
) -> None:
    spend_all(wallet)
    until_due(subscription)
    renew_due()
    top_up_test(organization=consumer.personal_organization, user=consumer, amount_nano=5 * DOLLAR)
    let_pass(subscription, days=1, seconds=1)
    renew_due()
    row = now_of(subscription)
    assert (row.status, row.attempts, balance(wallet)) == (SubscriptionStatus.ACTIVE, 0, 2)
    assert row.period.ends_at - row.period.starts_at >= timedelta(days=28)


def test_a_model_that_cannot_be_called_any_more_ends_it(
    subscription: Subscription, listing: Listing, wallet: Wallet
) -> None:
    Listing.objects.filter(pk=listing.pk).update(status=ListingStatus.WITHDRAWN)
    until_due(subscription)
    renew_due()
    assert (now_of(subscription).end_reason, balance(wallet)) == (EndReason.UNAVAILABLE, 7)
    assert Notice.objects.get().kind == "sub_ended"


def test_a_retired_plan_goes_on_for_those_who_have_it(
    subscription: Subscription, listing: Listing, provider: User, wallet: Wallet
) -> None:
    retire_plan(listing=listing, user=provider, plan=subscription.plan)
    until_due(subscription)
    renew_due()
    assert balance(wallet) == 4


def test_cancelled_it_lasts_for_its_month(subscription: Subscription, consumer: User, wallet: Wallet) -> None:
    for _turn in range(2):
        cancel_subscription(subscription=subscription, user=consumer)
    assert now_of(subscription).period.is_current(timezone.now())
    until_due(subscription)
    renew_due()
    row = now_of(subscription)
    assert (row.status, row.end_reason, balance(wallet)) == (SubscriptionStatus.ENDED, EndReason.CANCELLED, 7)
    assert not Notice.objects.exists()
    with pytest.raises(SubscriptionEnded):
        resume_subscription(subscription=subscription, user=consumer)


def test_a_cancelling_can_be_taken_back(subscription: Subscription, consumer: User, wallet: Wallet) -> None:
    cancel_subscription(subscription=subscription, user=consumer)
    resume_subscription(subscription=subscription, user=consumer)
    until_due(subscription)
    renew_due()
    assert balance(wallet) == 4


def test_cancelled_at_once_the_rest_is_forfeited(subscription: Subscription, consumer: User, wallet: Wallet) -> None:
    cancel_subscription(subscription=subscription, user=consumer, at_once=True)
    row = now_of(subscription)
    assert (row.status, balance(wallet), row.period.is_current(timezone.now())) == (SubscriptionStatus.ENDED, 7, False)


def test_a_dearer_plan_begins_now_less_what_is_left_of_the_month(
    subscription: Subscription, listing: Listing, provider: User, consumer: User, wallet: Wallet
) -> None:
    dearer = make_plan(listing, provider, dollars=6)
    old = subscription.period
    whole = old.ends_at - old.starts_at
    move(old, starts_at=old.starts_at - whole / 3, ends_at=old.ends_at - whole / 3)
    changed = change_plan(subscription=subscription, user=consumer, plan=dearer)
    new = changed.period
    assert new.plan == dearer
    assert 1_999 * DOLLAR // 1000 <= new.credit_nano <= 2 * DOLLAR  # two thirds of three dollars, less a moment
    assert new.charge_nano == 6 * DOLLAR - new.credit_nano
    assert SubscriptionPeriod.objects.get(pk=old.pk).ends_at == new.starts_at
    assert (changed.due_at, changed.months) == (new.ends_at, 0)


def test_what_is_left_is_the_lesser_of_time_and_tokens(subscription: Subscription) -> None:
    period = subscription.period
    half = period.starts_at + (period.ends_at - period.starts_at) / 2
    assert unused_nano(period, at=half) == 3 * DOLLAR // 2
    SubscriptionPeriod.objects.filter(pk=period.pk).update(used_input=800, used_output=100)
    period.refresh_from_db()
    assert unused_nano(period, at=half) == 3 * DOLLAR // 10
    assert unused_nano(period, at=period.ends_at + timedelta(days=1)) == 0
    SubscriptionPeriod.objects.filter(pk=period.pk).update(used_input=0, used_output=0)


def test_a_cheaper_plan_begins_with_the_next_month(
    subscription: Subscription, listing: Listing, provider: User, consumer: User, wallet: Wallet
) -> None:
    cheaper = make_plan(listing, provider, dollars=1)
    cancel_subscription(subscription=subscription, user=consumer)
    changed = change_plan(subscription=subscription, user=consumer, plan=cheaper)
    assert (changed.next_plan, changed.plan, changed.is_cancelled, balance(wallet)) == (
        cheaper,
        subscription.plan,
        False,
        7,
    )
    assert change_plan(subscription=subscription, user=consumer, plan=subscription.plan).next_plan is None
    change_plan(subscription=subscription, user=consumer, plan=cheaper)
    until_due(subscription)
    renew_due()
    row = now_of(subscription)
    assert (row.plan, row.next_plan, balance(wallet)) == (cheaper, None, 6)


def test_a_plan_that_one_cannot_pay_changes_nothing(
    subscription: Subscription, listing: Listing, provider: User, consumer: User, wallet: Wallet
) -> None:
    with pytest.raises(InsufficientCredit):
        change_plan(subscription=subscription, user=consumer, plan=make_plan(listing, provider, dollars=50))
    assert now_of(subscription).plan == subscription.plan
    assert now_of(subscription).period.is_current(timezone.now())


def test_a_plan_that_is_not_offered_cannot_be_changed_to(
    subscription: Subscription, listing: Listing, provider: User, consumer: User, stranger: User
) -> None:
    gone = make_plan(listing, provider, dollars=1)
    retire_plan(listing=listing, user=provider, plan=gone)
    with pytest.raises(PlanNotOffered):
        change_plan(subscription=subscription, user=consumer, plan=gone)
    for verb in (cancel_subscription, resume_subscription):
        with pytest.raises(NotFound):
            verb(subscription=subscription, user=stranger)
