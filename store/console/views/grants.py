"""Granted credit: what was given, what is left of it, and codes."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from store.accounts.models import Organization
from store.billing.actions import BUYERS
from store.billing.promo import PromoRefused, redeem
from store.console.context import role_in
from store.console.forms.wallet import PromoForm
from store.console.granted import grants_page, waiting_code
from store.console.pages import MemberRequest, console_page


@console_page
def grants(request: MemberRequest, organization: Organization) -> HttpResponse:
    """All that was ever given, newest first; ``?state=`` open or ended."""
    return _render(request, organization, PromoForm())


@require_POST
@console_page
def use_code(request: MemberRequest, organization: Organization) -> HttpResponse:
    """Redeems a promo code."""
    form = PromoForm(request.POST)
    if not form.is_valid():
        return _render(request, organization, form, status=422)
    try:
        redemption = redeem(organization=organization, user=request.user, code=form.cleaned_data["code"])
    except PromoRefused as error:
        form.add_error("code", error.message)
        return _render(request, organization, form, status=error.status)
    done = _("The credit is in your wallet.") if redemption.grant else _("The code is kept for your next top-up.")
    messages.success(request, done)
    return redirect("console:grants")


def _render(request: MemberRequest, organization: Organization, form: PromoForm, *, status: int = 200) -> HttpResponse:
    state, before = request.GET.get("state", ""), request.GET.get("before", "")
    shown = {
        "page": grants_page(organization, state=state, before=before),
        "state": state,
        "is_older": bool(before),
        "waiting": waiting_code(organization),
        "form": form,
        "may_buy": role_in(organization, request.user) in BUYERS,
    }
    return render(request, "console/grants.html", shown, status=status)
