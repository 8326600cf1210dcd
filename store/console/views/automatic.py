"""The saved card, automatic top-ups, and all top-ups there were."""

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
from store.billing.automatic import pay_on_session, set_auto_topup, switch_off
from store.billing.cards import card_of, is_open_setup, remove_card, start_setup
from store.billing.checkout import topup_of
from store.billing.models import AutoTopup
from store.console.context import role_in
from store.console.forms.automatic import AutoTopupForm
from store.console.forms.wallet import TopUpFilter
from store.console.pages import MemberRequest, console_page
from store.console.topups import topups_page
from store.errors import Conflict, InvalidRequest, NotFound


@console_page
def automatic(request: MemberRequest, organization: Organization) -> HttpResponse:
    """The card and the terms. Where a customer comes back to from saving a card: asks again by itself until Stripe has told."""
    if request.headers.get("hx-request"):
        is_on_its_way = is_open_setup(organization, request.GET.get("setup", ""))
        return HttpResponse(status=204) if is_on_its_way else HttpResponse(headers={"HX-Refresh": "true"})
    if request.method != "POST":
        return _render(request, organization, None)
    form = AutoTopupForm(request.POST)
    if form.is_valid():
        try:
            set_auto_topup(organization=organization, user=request.user, **form.terms())
            messages.success(request, _("Automatic top-ups are on."))
            return redirect("console:automatic")
        except (InvalidRequest, Conflict) as error:
            form.add_error(error.param, error.message)
    return _render(request, organization, form, status=422)


@require_POST
@console_page
def automatic_off(request: MemberRequest, organization: Organization) -> HttpResponse:
    switch_off(organization=organization, user=request.user)
    messages.success(request, _("Automatic top-ups are off."))
    return redirect("console:automatic")


@require_POST
@console_page
def card_new(request: MemberRequest, organization: Organization) -> HttpResponse:
    """Sends the browser to where a card is saved."""
    saving = start_setup(organization=organization, user=request.user)
    return HttpResponseRedirect(saving, status=HTTPStatus.SEE_OTHER)


@require_POST
@console_page
def card_remove(request: MemberRequest, organization: Organization) -> HttpResponse:
    remove_card(organization=organization, user=request.user)
    messages.success(request, _("The card was removed."))
    return redirect("console:automatic")


@console_page
def topups(request: MemberRequest, organization: Organization) -> HttpResponse:
    """All top-ups, newest first, by status and how they were paid."""
    form, before = TopUpFilter(request.GET), request.GET.get("before", "")
    page = topups_page(organization, before=before, **form.chosen())
    return render(request, "console/topups.html", {"page": page, "form": form, "is_older": bool(before)})


@require_POST
@console_page
def pay(request: MemberRequest, organization: Organization, topup_id: UUID) -> HttpResponse:
    """Sends the browser to where a top-up that waits is paid."""
    topup = topup_of(organization, topup_id)
    if topup is None:
        raise NotFound(_("There is no such top-up."))
    return HttpResponseRedirect(pay_on_session(topup=topup, user=request.user), status=HTTPStatus.SEE_OTHER)


def _render(
    request: MemberRequest, organization: Organization, form: AutoTopupForm | None, *, status: int = 200
) -> HttpResponse:
    auto = AutoTopup.objects.filter(organization=organization).first()
    shown = {
        "auto": auto,
        "card": card_of(organization),
        "form": form or AutoTopupForm(initial=AutoTopupForm.now(auto)),
        "may_buy": role_in(organization, request.user) in BUYERS,
        "is_on_its_way": is_open_setup(organization, request.GET.get("setup", "")),
    }
    return render(request, "console/automatic.html", shown, status=status)
