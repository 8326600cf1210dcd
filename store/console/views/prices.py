"""Prices: the step of the wizard, the change of a model that is called, and what a provider earns at one."""

from __future__ import annotations

from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from store.catalog.actions import set_price
from store.catalog.actions.prices import cancel_scheduled_price
from store.catalog.commissions import commission_of
from store.catalog.earning import CALLS
from store.catalog.models import CALLABLE, Listing
from store.catalog.royalties import expected_plan
from store.console.earning import earnings, royalties_owed
from store.console.forms.plan import PlanForm
from store.console.forms.price import PriceChangeForm, PriceForm
from store.console.managed import ManagedRequest, manage_url, managed_page, show
from store.console.wizard import Step, way_of
from store.errors import StoreError


@managed_page
def wizard_price(request: ManagedRequest, listing: Listing) -> HttpResponse:
    """The fifth step: what a call costs. A model that is on the shelf changes its price where the notice is kept."""
    if listing.status in CALLABLE:
        return redirect(manage_url(listing, "prices"))
    way = way_of(listing)
    form = PriceForm(request.POST) if request.method == "POST" else PriceForm.of(way.price)
    if form.is_bound and form.is_valid():
        try:
            set_price(listing=listing, user=request.user, price=form.spec())
            way = way_of(listing)
            return redirect(way.url(way.current if way.current == Step.REVIEW else Step.CHECKS))
        except StoreError as error:
            form.refuse(error)
    shown = {"way": way, "stops": way.stops(Step.PRICE), "form": form, **_earned(listing, form)}
    return show(request, listing, "publish/price.html", shown, status=422 if form.errors else 200)


@managed_page
def prices(request: ManagedRequest, listing: Listing) -> HttpResponse:
    """The price in force, what is scheduled, what was; and a new one."""
    current = listing.prices.current().first()
    form = PriceChangeForm(request.POST) if request.method == "POST" else PriceChangeForm.of(current)
    if form.is_bound and form.is_valid():
        try:
            set_price(listing=listing, user=request.user, price=form.spec(), starts_at=form.starts_at())
            messages.success(request, _("The price is set."))
            return redirect(manage_url(listing, "prices"))
        except StoreError as error:
            form.refuse(error)
    shown = {
        "form": form, "current": current, "scheduled": listing.prices.scheduled(),
        "past": listing.prices.current()[1:51], "notice_days": settings.PRICE_NOTICE_DAYS,
        "plans": listing.plans.offered(), "plan_form": PlanForm(), **_earned(listing, form),
    }  # fmt: skip
    return show(request, listing, "manage/prices.html", shown, status=422 if form.errors else 200)


@require_POST
@managed_page
def cancel(request: ManagedRequest, listing: Listing, pk: int) -> HttpResponse:
    """Takes back a price that has not begun."""
    price = get_object_or_404(listing.prices.scheduled(), pk=pk)
    try:
        cancel_scheduled_price(listing=listing, user=request.user, price=price)
        messages.success(request, _("The scheduled price is taken back."))
    except StoreError as error:
        messages.error(request, error.message)
    return redirect(manage_url(listing, "prices"))


@require_POST
@managed_page
def earned(request: ManagedRequest, listing: Listing) -> HttpResponse:
    """What the provider would earn at the price that is being typed."""
    return render(request, "console/publish/_earnings.html", _earned(listing, PriceForm(request.POST)))


def _earned(listing: Listing, form: PriceForm) -> dict[str, object]:
    """With what the template of the earnings shows; nothing while the form makes no sense."""
    said = form if form.is_bound else PriceForm({name: form[name].value() or "" for name in form.fields})
    commission = commission_of(listing)
    plan = expected_plan(listing, commission_ppm=commission.ppm)
    found = earnings(said.spec(), listing, plan) if said.is_valid() else []
    return {"earnings": found, "calls": CALLS, "commission": commission, "owed": royalties_owed(plan)}
