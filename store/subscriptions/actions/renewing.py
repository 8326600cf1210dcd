"""Months follow each other: a task pays what is due, tries again where credit is short, and ends what was not paid."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from store.catalog.actions.notices import tell as mail
from store.catalog.models import NoticeKind
from store.ledger.dollars import dollars
from store.subscriptions.actions.ending import end_subscription, spenders_of
from store.subscriptions.actions.paying import can_be_called, locked_subscription, pay_period
from store.subscriptions.events import tell
from store.subscriptions.models import EndReason, Subscription, SubscriptionPlan, SubscriptionStatus
from store.subscriptions.months import months_after

BATCH = 200
RETRY_EVERY = timedelta(days=1)
RETRIES = 3  # after the first attempt; then it ends
LATE = timedelta(
    hours=1
)  # a month that is paid later than this begins when it is paid: nobody pays for time that they did not have


def due_subscriptions() -> list[int]:
    """Ids of those whose month is over, the longest first."""
    due = Subscription.objects.living().filter(due_at__lte=timezone.now())
    return list(due.order_by("due_at").values_list("pk", flat=True)[:BATCH])


@transaction.atomic
def renew_subscription(subscription_id: int) -> None:
    """Pays the next month, or says why not. Twice is once: the second finds that nothing is due."""
    found = Subscription.objects.select_related("organization").get(pk=subscription_id)
    row, purse = locked_subscription(found)
    now = timezone.now()
    if row.due_at is None or row.due_at > now:
        return
    plan = row.next_plan or row.plan
    if row.is_cancelled:
        end_subscription(row, EndReason.CANCELLED)
    elif not can_be_called(row.listing):
        end_subscription(row, EndReason.UNAVAILABLE)
    elif plan.price_nano > purse.available_nano:
        _put_off(row, plan, now)
    else:
        pay_period(row, plan, purse, starts_at=_begin(row, plan, now))
        tell(row, "renewed")


def _begin(row: Subscription, plan: SubscriptionPlan, now: datetime) -> datetime:
    """When the next month begins: where the last one ended. Where that is long ago, months are counted anew from now."""
    assert row.due_at
    starts_at = row.due_at
    if row.status == SubscriptionStatus.PAST_DUE or row.due_at < now - LATE:
        row.anchor_at, row.months, starts_at = now, 0, now
    else:
        row.months += 1
    row.plan, row.next_plan, row.attempts, row.status = plan, None, 0, SubscriptionStatus.ACTIVE
    row.due_at = months_after(row.anchor_at, row.months + 1)
    row.save()
    return starts_at


def _put_off(row: Subscription, plan: SubscriptionPlan, now: datetime) -> None:
    if row.attempts >= RETRIES:
        end_subscription(row, EndReason.UNPAID)
        return
    row.status, row.attempts, row.due_at = SubscriptionStatus.PAST_DUE, row.attempts + 1, now + RETRY_EVERY
    row.save(update_fields=["status", "attempts", "due_at"])
    if row.attempts == 1:
        tell(row, "past_due")
        mail(
            spenders_of(row.organization), NoticeKind.SUBSCRIPTION_PAST_DUE, row.listing, plan=plan.name,
            price=dollars(plan.price_nano), wallet=f"{settings.PUBLIC_URL}/wallet",
        )  # fmt: skip
