"""A subscription ends, and those who answer for it are told."""

from __future__ import annotations

from django.db.models import QuerySet
from django.utils import timezone

from store.accounts.models import Organization, User
from store.catalog.actions.notices import tell as mail
from store.catalog.models import NoticeKind
from store.subscriptions.actions.paying import SPENDING_ROLES
from store.subscriptions.events import tell
from store.subscriptions.models import EndReason, Subscription, SubscriptionPeriod, SubscriptionStatus


def spenders_of(organization: Organization) -> QuerySet[User]:
    """Who is told of what is to be paid."""
    return User.objects.filter(
        memberships__organization=organization, memberships__role__in=SPENDING_ROLES, is_active=True
    )


def end_subscription(row: Subscription, reason: EndReason) -> None:
    """Now, and with it the month that lasts. ``row`` is locked, with its organization's credit."""
    now = timezone.now()
    SubscriptionPeriod.objects.filter(subscription=row, ends_at__gt=now).update(ends_at=now)
    row.status, row.end_reason, row.ended_at, row.due_at = SubscriptionStatus.ENDED, reason, now, None
    row.save(update_fields=["status", "end_reason", "ended_at", "due_at"])
    tell(row, "ended")
    if reason != EndReason.CANCELLED:
        mail(
            spenders_of(row.organization), NoticeKind.SUBSCRIPTION_ENDED, row.listing, plan=row.plan.name, reason=reason
        )
