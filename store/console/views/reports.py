"""Saying that something is wrong: with a listing, by anybody; with a decision about one, by its provider."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _

from store.catalog.models import Listing
from store.console.forms.moderation import AppealForm, ReportForm
from store.console.managed import ManagedRequest, manage_url, managed_page, show
from store.console.pages import MemberRequest, page
from store.console.standing import decision_against
from store.errors import NotFound, StoreError
from store.moderation import actions
from store.moderation.models import Appeal, Report, ReportStatus


@login_required
@page
def report(request: MemberRequest, organization: str, slug: str) -> HttpResponse:
    """Tells the moderators about a listing. Telling them again while they have not looked changes the words."""
    visible = Listing.objects.visible_to(request.user).named(f"{organization}/{slug}").select_related("organization")
    listing = get_object_or_404(visible)
    open_report = Report.objects.filter(listing=listing, reporter=request.user, status=ReportStatus.OPEN).first()
    initial = {"reason": open_report.reason, "text": open_report.text} if open_report else {}
    form = ReportForm(request.POST or None, initial=initial)
    if form.is_valid():
        try:
            actions.report_listing(listing=listing, user=request.user, **form.cleaned_data)
            messages.success(request, _("Thank you. A moderator will look at it."))
            return redirect("console:listing", organization, slug)
        except StoreError as error:
            form.refuse(error)
    shown = {"listing": listing, "form": form, "open_report": open_report}
    return render(request, "console/report.html", shown, status=422 if form.errors else 200)


@managed_page
def appeal(request: ManagedRequest, listing: Listing) -> HttpResponse:
    """The provider's answer to a suspension or a refusal, and what became of it."""
    decision = decision_against(listing)
    if decision is None:
        raise NotFound(_("There is no decision against this model."))
    form = AppealForm(request.POST or None)
    if form.is_valid():
        try:
            actions.appeal(decision=decision, user=request.user, text=form.cleaned_data["text"])
            messages.success(request, _("Sent. A moderator will look at it again."))
            return redirect(manage_url(listing, "appeal"))
        except StoreError as error:
            form.add_error("text", error.message)
    shown = {"decision": decision, "form": form, "appeal": Appeal.objects.filter(decision=decision).first()}
    return show(request, listing, "manage/appeal.html", shown, status=422 if form.errors else 200)
