"""A subscription begins."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from store.accounts.models import Organization, User
from store.subscriptions.actions.paying import can_be_called, check_spender, locked_purse, pay_period
from store.subscriptions.errors import AlreadySubscribed, PlanNotOffered
from store.subscriptions.events import tell
from store.subscriptions.models import Subscription, SubscriptionPlan
from store.subscriptions.months import months_after


@transaction.atomic
def subscribe(*, organization: Organization, user: User, plan: SubscriptionPlan) -> Subscription:
    """Pays the first month from the organization's credit; its tokens can be used at once.

    Raises NotFound, PermissionDenied, PlanNotOffered, AlreadySubscribed, InsufficientCredit: then nothing has moved.
    """
    check_spender(organization, user)
    purse, now = locked_purse(organization), timezone.now()
    plan = SubscriptionPlan.objects.select_related("listing__organization").get(pk=plan.pk)
    if plan.retired_at or not can_be_called(plan.listing):
        raise PlanNotOffered(_("This plan is not offered any more."), param="plan")
    if plan.listing.organization_id == organization.pk:
        raise PlanNotOffered(_("This is your own model: you would pay yourself."), param="plan")
    if Subscription.objects.living().filter(organization=organization, listing=plan.listing).exists():
        raise AlreadySubscribed(param="plan")
    subscription = Subscription.objects.create(
        organization=organization,
        listing=plan.listing,
        plan=plan,
        anchor_at=now,
        due_at=months_after(now, 1),
        created_by=user,
    )
    pay_period(subscription, plan, purse, starts_at=now)
    tell(subscription, "started")
    return subscription
