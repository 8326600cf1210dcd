"""Credit: how much there is, what moved it, and how to add some."""

from __future__ import annotations

from http import HTTPStatus
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from store.accounts.models import Organization
from store.billing.actions import BUYERS
from store.billing.checkout import start_checkout, topup_of
from store.billing.grants import open_grants
from store.billing.models import TopupStatus
from store.billing.refunding import ask_refund
from store.console.context import credit_of, role_in
from store.console.forms.wallet import TopUpForm
from store.console.pages import MemberRequest, console_page
from store.console.statement import statement
from store.console.topups import topup_facts
from store.errors import NotFound
from store.ledger.models import WalletKind


@console_page
def wallet(request: MemberRequest, organization: Organization) -> HttpResponse:
    """The balance and the statement."""
    return _render(request, organization, TopUpForm())


@require_POST
@console_page
def top_up(request: MemberRequest, organization: Organization) -> HttpResponse:
    """Sends the browser to where the amount is paid."""
    form = TopUpForm(request.POST)
    if not form.is_valid():
        return _render(request, organization, form, status=422)
    paying = start_checkout(organization=organization, user=request.user, amount_nano=form.cleaned_data["amount"])
    return HttpResponseRedirect(paying, status=HTTPStatus.SEE_OTHER)


@console_page
def bought(request: MemberRequest, organization: Organization, topup_id: UUID) -> HttpResponse:
    """Where a customer comes back to: asks again by itself until Stripe has told what came of it."""
    topup = topup_of(organization, topup_id)
    if topup is None:
        raise NotFound(_("There is no such top-up."))
    waits_for_payer = topup.is_automatic and topup.checkout_session is None
    asks_again = topup.status == TopupStatus.PENDING and not waits_for_payer
    if request.headers.get("hx-request") and not asks_again:
        return HttpResponse(headers={"HX-Refresh": "true"})  # the balance in the header is new, too
    template = "console/_bought.html" if request.headers.get("hx-request") else "console/bought.html"
    may_buy = role_in(organization, request.user) in BUYERS
    return render(request, template, {"topup": topup, "asks_again": asks_again, **topup_facts(topup, may_buy=may_buy)})


@require_POST
@console_page
def refund(request: MemberRequest, organization: Organization, topup_id: UUID) -> HttpResponse:
    """Gives back what is not spent."""
    topup = topup_of(organization, topup_id)
    if topup is None:
        raise NotFound(_("There is no such top-up."))
    ask_refund(topup=topup, user=request.user)
    messages.success(request, _("The money is on its way back to your card. That takes some days."))
    return redirect("console:bought", topup_id=topup_id)


def _render(request: MemberRequest, organization: Organization, form: TopUpForm, *, status: int = 200) -> HttpResponse:
    before = request.GET.get("before", "")
    credit = credit_of(organization)
    shown = {
        "wallet": credit,
        "statement": statement(credit, before=int(before) if before.isdecimal() and len(before) < 19 else None),
        "is_older": bool(before),
        "frozen_nano": organization.wallets.filter(kind=WalletKind.DISPUTED)
        .values_list("posted_nano", flat=True)
        .first(),
        "granted_nano": sum(grant.left_nano for grant in open_grants(organization)),
        "form": form,
        "may_buy": role_in(organization, request.user) in BUYERS,
    }
    return render(request, "console/wallet.html", shown, status=status)
