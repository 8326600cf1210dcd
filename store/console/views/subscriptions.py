"""Subscriptions of the organization that one acts for: what is included, what was used, another plan, the end."""

from __future__ import annotations

from collections.abc import Callable

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from store.accounts.models import Organization
from store.catalog.models import Listing
from store.console.context import credit_of, role_in
from store.console.numbers import small_int
from store.console.pages import MemberRequest, console_page
from store.console.subscribed import month_of, months_of, subscriptions_of
from store.errors import StoreError
from store.subscriptions.actions import cancel_subscription, change_plan, resume_subscription, subscribe
from store.subscriptions.actions.paying import SPENDING_ROLES
from store.subscriptions.models import Subscription, SubscriptionPlan


@console_page
def subscriptions(request: MemberRequest, organization: Organization) -> HttpResponse:
    """The newest first."""
    before = small_int(request.GET.get("before"))
    rows, older = subscriptions_of(organization, before=before)
    return render(request, "console/subscriptions.html", {"rows": rows, "older": older, "is_older": before is not None})


@console_page
def new(request: MemberRequest, organization: Organization, plan_id: int) -> HttpResponse:
    """Says what will be paid and what one gets for it; then pays it."""
    seen = Listing.objects.visible_to(request.user)
    plan = get_object_or_404(
        SubscriptionPlan.objects.filter(listing__in=seen).select_related("listing__organization"), pk=plan_id
    )
    if request.method == "POST":
        made = subscribe(organization=organization, user=request.user, plan=plan)
        messages.success(request, _("You have subscribed: the included tokens can be used now."))
        return redirect("console:subscription", made.pk)
    may_spend = role_in(organization, request.user) in SPENDING_ROLES
    shown = {"plan": plan, "wallet": credit_of(organization), "may_spend": may_spend}
    return render(request, "console/subscription_new.html", shown)


@console_page
def subscription(request: MemberRequest, organization: Organization, pk: int) -> HttpResponse:
    """The current month, other plans, and the months before."""
    found = _own(organization, pk)
    before = small_int(request.GET.get("before"))
    months, older = months_of(found, before=before)
    shown = {
        "subscription": found,
        "month": month_of(found),
        "months": months,
        "older": older,
        "plans": found.listing.plans.offered().exclude(pk=found.plan_id),
        "may_spend": role_in(organization, request.user) in SPENDING_ROLES,
    }
    return render(request, "console/subscription.html", shown)


@require_POST
@console_page
def change(request: MemberRequest, organization: Organization, pk: int) -> HttpResponse:
    """Another plan, now or from the next month on."""
    found = _own(organization, pk)
    plan = get_object_or_404(found.listing.plans, pk=small_int(request.POST.get("plan")))
    return _done(request, found, lambda: change_plan(subscription=found, user=request.user, plan=plan))


@require_POST
@console_page
def cancel(request: MemberRequest, organization: Organization, pk: int) -> HttpResponse:
    """With the month that is paid, or at once."""
    found, at_once = _own(organization, pk), request.POST.get("when") == "now"
    return _done(request, found, lambda: cancel_subscription(subscription=found, user=request.user, at_once=at_once))


@require_POST
@console_page
def resume(request: MemberRequest, organization: Organization, pk: int) -> HttpResponse:
    """Takes a cancelling back."""
    found = _own(organization, pk)
    return _done(request, found, lambda: resume_subscription(subscription=found, user=request.user))


def _own(organization: Organization, pk: int) -> Subscription:
    rows = Subscription.objects.select_related("organization", "listing__organization", "plan", "next_plan")
    return get_object_or_404(rows, organization=organization, pk=pk)


def _done(request: MemberRequest, found: Subscription, verb: Callable[[], Subscription]) -> HttpResponse:
    """Calls a verb, says what came of it, and shows the subscription again."""
    try:
        verb()
        messages.success(request, _("The subscription has changed."))
    except StoreError as error:
        messages.error(request, error.message)
    return redirect("console:subscription", found.pk)
