"""What a provider offers by the month: plans of one model."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from store.catalog.models import Listing
from store.console.forms.plan import PlanForm
from store.console.managed import ManagedRequest, manage_url, managed_page, show
from store.errors import StoreError
from store.subscriptions.actions import offer_plan, retire_plan


@managed_page
def plans(request: ManagedRequest, listing: Listing) -> HttpResponse:
    """Adds one; what is wrong with it is said at its field. The plans themselves are on the page of the prices, too."""
    form = PlanForm(request.POST or None)
    if form.is_valid():
        try:
            offer_plan(listing=listing, user=request.user, plan=form.spec())
            messages.success(request, _("The plan is offered."))
            return redirect(manage_url(listing, "plans"))
        except StoreError as error:
            form.refuse(error)
    shown = {"plans": listing.plans.offered(), "plan_form": form}
    return show(request, listing, "manage/plans.html", shown, status=422 if form.errors else 200)


@require_POST
@managed_page
def retire(request: ManagedRequest, listing: Listing, pk: int) -> HttpResponse:
    """Nobody can subscribe to it any more."""
    try:
        retire_plan(listing=listing, user=request.user, plan=get_object_or_404(listing.plans, pk=pk))
        messages.success(request, _("The plan is retired. Those who have it keep it."))
    except StoreError as error:
        messages.error(request, error.message)
    return redirect(manage_url(listing, "plans"))
