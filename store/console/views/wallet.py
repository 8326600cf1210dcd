"""Credit: how much there is, what moved it, and how to add some."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from store.accounts.models import Organization
from store.billing.actions import BUYERS, top_up_test
from store.console.context import credit_of, role_in
from store.console.forms.wallet import TopUpForm
from store.console.pages import MemberRequest, console_page
from store.console.statement import statement
from store.ledger.dollars import dollars


@console_page
def wallet(request: MemberRequest, organization: Organization) -> HttpResponse:
    """The balance and the statement."""
    return _render(request, organization, TopUpForm())


@require_POST
@console_page
def top_up(request: MemberRequest, organization: Organization) -> HttpResponse:
    """Adds test money."""
    form = TopUpForm(request.POST)
    if not form.is_valid():
        return _render(request, organization, form, status=422)
    bought = top_up_test(organization=organization, user=request.user, amount_nano=form.cleaned_data["amount"])
    messages.success(request, _("%(amount)s of test money was added.") % {"amount": dollars(bought.amount_nano)})
    return redirect("console:wallet")


def _render(request: MemberRequest, organization: Organization, form: TopUpForm, *, status: int = 200) -> HttpResponse:
    before = request.GET.get("before", "")
    credit = credit_of(organization)
    shown = {
        "wallet": credit,
        "statement": statement(credit, before=int(before) if before.isdecimal() and len(before) < 19 else None),
        "is_older": bool(before),
        "form": form,
        "may_buy": role_in(organization, request.user) in BUYERS,
    }
    return render(request, "console/wallet.html", shown, status=status)
