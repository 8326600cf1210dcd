"""Another plan, and the end of a subscription."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from store.accounts.models import User
from store.subscriptions.actions.ending import end_subscription
from store.subscriptions.actions.paying import can_be_called, check_spender, locked_subscription, pay_period
from store.subscriptions.errors import PlanNotOffered, SubscriptionEnded
from store.subscriptions.events import tell
from store.subscriptions.models import (
    EndReason,
    Subscription,
    SubscriptionPeriod,
    SubscriptionPlan,
    SubscriptionStatus,
)
from store.subscriptions.months import months_after

TICK = timedelta(microseconds=1)


def unused_nano(period: SubscriptionPeriod, *, at: datetime) -> int:
    """What is left of a period's price: the share of its time or of its tokens that is left, whichever is less, rounded down.

    By time alone, a month's tokens could be used on its first day and the month be had back.
    """
    price, tokens = period.plan.price_nano, period.plan.tokens
    whole, left = (period.ends_at - moment for moment in (period.starts_at, at))
    if left <= timedelta(0):
        return 0
    by_time = price * (left // TICK) // (whole // TICK)
    by_tokens = price * max(tokens - period.used, 0) // tokens
    return min(by_time, by_tokens)


@transaction.atomic
def change_plan(*, subscription: Subscription, user: User, plan: SubscriptionPlan) -> Subscription:
    """A dearer plan begins at once, a new month with it, and what is left of the old one is taken off its price. Any other plan begins
    with the next month. The current plan again takes such a change back. Who chooses a plan stays: a cancelling is taken back, too.

    Raises NotFound, PermissionDenied, SubscriptionEnded, PlanNotOffered, InsufficientCredit: then nothing has changed.
    """
    check_spender(subscription.organization, user)
    row, purse = locked_subscription(subscription)
    now = timezone.now()
    _check_alive(row)
    if (
        plan.listing_id != row.listing_id
        or (plan.retired_at and plan.pk != row.plan_id)
        or not can_be_called(row.listing)
    ):
        raise PlanNotOffered(_("This plan is not offered any more."), param="plan")
    is_current = row.status == SubscriptionStatus.ACTIVE
    if is_current and plan.price_nano <= row.plan.price_nano:
        row.next_plan, row.is_cancelled = None if plan.pk == row.plan_id else plan, False
        row.save(update_fields=["next_plan", "is_cancelled"])
        return row
    old = row.period
    credit_nano = unused_nano(old, at=now) if is_current else 0
    SubscriptionPeriod.objects.filter(pk=old.pk, ends_at__gt=now).update(ends_at=now)
    row.plan, row.next_plan, row.anchor_at, row.months, row.attempts = plan, None, now, 0, 0
    row.status, row.is_cancelled, row.due_at = SubscriptionStatus.ACTIVE, False, months_after(now, 1)
    row.save()
    pay_period(row, plan, purse, starts_at=now, credit_nano=credit_nano)
    tell(row, "renewed")
    return row


@transaction.atomic
def cancel_subscription(*, subscription: Subscription, user: User, at_once: bool = False) -> Subscription:
    """It ends with the month that is paid, or ``at_once``: then what is left of the month is forfeited. Nothing is paid back.

    One that is not paid ends at once. Cancelling again changes nothing. Raises NotFound, PermissionDenied, SubscriptionEnded.
    """
    check_spender(subscription.organization, user)
    row, _purse = locked_subscription(subscription)
    _check_alive(row)
    if at_once or row.status == SubscriptionStatus.PAST_DUE:
        end_subscription(row, EndReason.CANCELLED)
    else:
        row.is_cancelled, row.next_plan = True, None
        row.save(update_fields=["is_cancelled", "next_plan"])
    return row


@transaction.atomic
def resume_subscription(*, subscription: Subscription, user: User) -> Subscription:
    """Takes a cancelling back while the month lasts. Again changes nothing. Raises NotFound, PermissionDenied, SubscriptionEnded."""
    check_spender(subscription.organization, user)
    row, _purse = locked_subscription(subscription)
    _check_alive(row)
    row.is_cancelled = False
    row.save(update_fields=["is_cancelled"])
    return row


def _check_alive(row: Subscription) -> None:
    if row.status == SubscriptionStatus.ENDED:
        raise SubscriptionEnded
