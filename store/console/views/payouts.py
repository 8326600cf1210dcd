"""What a provider has earned, and how it gets to their bank."""

from __future__ import annotations

from http import HTTPStatus
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from store.accounts.models import Organization
from store.console.forms.payouts import PayOutForm, ScheduleForm
from store.console.pages import MemberRequest, console_page
from store.console.payouts import payout_page, shown_payout, standing
from store.errors import NotFound, StoreError
from store.payouts.accounts import refresh_account, require_cashier, start_onboarding
from store.payouts.actions import cancel_payout, request_payout, retry_payout, set_schedule
from store.payouts.models import Payout


@console_page
def payouts(request: MemberRequest, organization: Organization) -> HttpResponse:
    """The balance, the account, the schedule and the history."""
    require_cashier(organization, request.user)
    return _render(request, organization)


@require_POST
@console_page
def pay_out(request: MemberRequest, organization: Organization) -> HttpResponse:
    """Asks for a payout."""
    form = PayOutForm(request.POST)
    if form.is_valid():
        try:
            made = request_payout(organization=organization, user=request.user, amount_nano=form.cleaned_data["amount"])
            return redirect("console:payout", made.pk)
        except StoreError as error:
            form.refuse(error)
    require_cashier(organization, request.user)
    return _render(request, organization, paying=form, status=422)


@require_POST
@console_page
def schedule(request: MemberRequest, organization: Organization) -> HttpResponse:
    """When a payout is asked for by itself."""
    require_cashier(organization, request.user)
    form = ScheduleForm(request.POST, schedule=standing(organization).schedule)
    if form.is_valid():
        try:
            said = form.cleaned_data
            set_schedule(
                organization=organization,
                user=request.user,
                interval=said["interval"],
                minimum_nano=said["minimum"] or 0,
            )
            messages.success(request, _("Saved."))
            return redirect("console:payouts")
        except StoreError as error:
            form.refuse(error)
    return _render(request, organization, scheduling=form, status=422)


@require_POST
@console_page
def onboard(request: MemberRequest, organization: Organization) -> HttpResponse:
    """Sends the browser to Stripe, which asks who is paid, and where."""
    where = start_onboarding(organization=organization, user=request.user)
    return HttpResponseRedirect(where, status=HTTPStatus.SEE_OTHER)


@console_page
def go_on(request: MemberRequest, organization: Organization) -> HttpResponse:
    """Where Stripe sends a browser whose link was too old, or was used: it gets another."""
    return HttpResponseRedirect(start_onboarding(organization=organization, user=request.user))


@console_page
def come_back(request: MemberRequest, organization: Organization) -> HttpResponse:
    """Where Stripe sends a browser when it is done, or has been left: how it stands is asked, and shown."""
    refresh_account(organization=organization, user=request.user)
    return redirect("console:payouts")


@console_page
def payout(request: MemberRequest, organization: Organization, pk: UUID) -> HttpResponse:
    """One payout: where it is, and what it pays."""
    return render(request, "console/payout.html", shown_payout(_seen(request, organization, pk)))


@require_POST
@console_page
def cancel(request: MemberRequest, organization: Organization, pk: UUID) -> HttpResponse:
    """The amount is earnings again."""
    cancel_payout(payout=_seen(request, organization, pk), user=request.user)
    return redirect("console:payout", pk)


@require_POST
@console_page
def retry(request: MemberRequest, organization: Organization, pk: UUID) -> HttpResponse:
    """Another one, of the same amount."""
    return redirect("console:payout", retry_payout(payout=_seen(request, organization, pk), user=request.user).pk)


def _seen(request: MemberRequest, organization: Organization, pk: UUID) -> Payout:
    require_cashier(organization, request.user)
    found = (
        organization.payouts.select_related("account", "organization", "created_by", "retry_of").filter(pk=pk).first()
    )
    if found is None:
        raise NotFound(_("There is no such payout."))
    return found


def _render(
    request: MemberRequest, organization: Organization, *, paying: PayOutForm | None = None, scheduling: ScheduleForm | None = None,
    status: int = 200,
) -> HttpResponse:  # fmt: skip
    now = standing(organization)
    before = _uuid(request.GET.get("before"))
    shown = {
        "standing": now, "page": payout_page(organization, before=before), "is_older": before is not None,
        "paying": paying or PayOutForm(), "scheduling": scheduling or ScheduleForm(schedule=now.schedule),
    }  # fmt: skip
    return render(request, "console/payouts.html", shown, status=status)


def _uuid(text: str | None) -> UUID | None:
    """The cursor; what is none begins at the beginning."""
    try:
        return UUID(text) if text else None
    except ValueError:
        return None
