"""What the pages of subscriptions show."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils import timezone

from store.accounts.models import Organization
from store.subscriptions.models import Subscription, SubscriptionPeriod, SubscriptionPlan

PAGE = 50


@dataclass(frozen=True, slots=True)
class Used:
    """Of the tokens of a class, or of all: ``percent`` is 0 to 100."""

    used: int
    included: int

    @property
    def percent(self) -> int:
        return 100 * self.used // self.included if self.included else 0


@dataclass(frozen=True, slots=True)
class Month:
    """The month that lasts. ``all`` where tokens are included of any class, else ``input`` and ``output``."""

    period: SubscriptionPeriod
    all: Used | None
    input: Used | None
    output: Used | None


def subscriptions_of(organization: Organization, *, before: int | None) -> tuple[list[Subscription], int | None]:
    """A page, the newest first, and the id before which the next begins."""
    rows = Subscription.objects.filter(organization=organization).select_related(
        "listing__organization", "plan", "next_plan"
    )
    if before is not None:
        rows = rows.filter(pk__lt=before)
    found = list(rows.order_by("-pk")[: PAGE + 1])
    return found[:PAGE], found[PAGE - 1].pk if len(found) > PAGE else None


def months_of(subscription: Subscription, *, before: int | None) -> tuple[list[SubscriptionPeriod], int | None]:
    """Likewise its months."""
    rows = subscription.periods.select_related("plan")
    if before is not None:
        rows = rows.filter(pk__lt=before)
    found = list(rows.order_by("-pk")[: PAGE + 1])
    return found[:PAGE], found[PAGE - 1].pk if len(found) > PAGE else None


def month_of(subscription: Subscription) -> Month | None:
    """None where none is paid now."""
    period = subscription.period
    if not period.is_current(timezone.now()):
        return None
    plan: SubscriptionPlan = period.plan
    if plan.included_tokens is not None:
        return Month(period, Used(period.used, plan.included_tokens), None, None)
    return Month(
        period,
        None,
        Used(period.used_input, plan.included_input or 0),
        Used(period.used_output, plan.included_output or 0),
    )
