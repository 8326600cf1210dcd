"""What moderators see: what waits for them, what was decided, and the buttons."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST

from store.catalog.models import Listing, ListingStatus, Submission, SubmissionStatus
from store.console.card import card_html
from store.console.forms.moderation import ChosenForm
from store.console.judging import PER_PAGE, counts, differences, moderator_page
from store.console.pages import MemberRequest
from store.errors import InvalidRequest, StoreError
from store.moderation.actions import (
    answer_appeal,
    approve_all,
    decline_all,
    dismiss_reports,
    lift_suspension,
    suspend_listing,
    suspend_listings,
)
from store.moderation.models import Appeal, Decision, Report


def _waiting() -> QuerySet[Submission]:
    related = ("listing__organization", "release", "measurement", "created_by")
    return Submission.objects.filter(status=SubmissionStatus.IN_REVIEW).select_related(*related)


@moderator_page
def submissions(request: MemberRequest) -> HttpResponse:
    """Models that wait to be let in, the oldest first."""
    shown = {"tab": "submissions", "counts": counts(), "submissions": _waiting().order_by("id")[:PER_PAGE]}
    return render(request, "console/moderation/submissions.html", shown)


@moderator_page
def submission(request: MemberRequest, pk: int) -> HttpResponse:
    """One of them: its facts, card and numbers, and what is different from the release on the shelf."""
    found = get_object_or_404(_waiting().select_related("listing__current_release", "commit"), pk=pk)
    release = found.release
    shown = {
        "tab": "submissions", "counts": counts(), "submission": found, "release": release,
        "differences": differences(found), "price": found.listing.prices.current().first(),
        "card": card_html(release.card, model=found.listing.name, revision=found.commit.oid) if release else "",
    }  # fmt: skip
    return render(request, "console/moderation/submission.html", shown)


@moderator_page
def reports(request: MemberRequest) -> HttpResponse:
    """What people say is wrong, the oldest first."""
    shown = {"tab": "reports", "counts": counts(), "reports": Report.objects.waiting()[:PER_PAGE]}
    return render(request, "console/moderation/reports.html", shown)


@moderator_page
def appeals(request: MemberRequest) -> HttpResponse:
    """What providers want to be looked at again, the oldest first."""
    shown = {"tab": "appeals", "counts": counts(), "appeals": Appeal.objects.waiting()[:PER_PAGE]}
    return render(request, "console/moderation/appeals.html", shown)


@moderator_page
def trail(request: MemberRequest) -> HttpResponse:
    """What was decided, the newest first; of one listing, where it is named."""
    before, name = request.GET.get("before", ""), request.GET.get("model", "").strip()
    rows = Decision.objects.select_related("listing__organization", "moderator").order_by("-id")
    rows = rows.filter(listing__in=Listing.objects.named(name)) if name else rows
    rows = rows.filter(id__lt=int(before)) if before.isdecimal() and len(before) < 19 else rows
    found = list(rows[: PER_PAGE + 1])
    older = found[PER_PAGE - 1].pk if len(found) > PER_PAGE else None
    shown = {"tab": "trail", "counts": counts(), "decisions": found[:PER_PAGE], "older": older,
             "is_older": bool(before), "model": name}  # fmt: skip
    return render(request, "console/moderation/trail.html", shown)


@require_POST
@moderator_page
def judge_submissions(request: MemberRequest) -> HttpResponse:
    """Lets those that are ticked in, or none of them."""
    form = _chosen(request, ["approve", "decline"])
    verb = approve_all if form.cleaned_data["verb"] == "approve" else decline_all
    rows = Submission.objects.filter(pk__in=form.cleaned_data["chosen"])
    return _done(request, "console:moderation", lambda: verb(submissions=rows, **_by(request, form)))


@require_POST
@moderator_page
def judge_reports(request: MemberRequest) -> HttpResponse:
    """Dismisses the reports that are ticked, or suspends what they are about."""
    form = _chosen(request, ["dismiss", "suspend"])
    rows = Report.objects.waiting().filter(pk__in=form.cleaned_data["chosen"])
    if form.cleaned_data["verb"] == "dismiss":
        return _done(request, "console:moderation-reports", lambda: dismiss_reports(reports=rows, **_by(request, form)))
    listings = Listing.objects.filter(reports__in=rows).distinct()
    return _done(
        request, "console:moderation-reports", lambda: suspend_listings(listings=listings, **_by(request, form))
    )


@require_POST
@moderator_page
def judge_appeal(request: MemberRequest, pk: int) -> HttpResponse:
    """Grants an appeal or rejects it, with an answer."""
    found = get_object_or_404(Appeal.objects.waiting(), pk=pk)
    is_granted = request.POST.get("verb") == "grant"

    def answer() -> int:
        answer_appeal(
            appeal=found, moderator=request.user, is_granted=is_granted, answer=request.POST.get("answer", "")
        )
        return 1

    return _done(request, "console:moderation-appeals", answer)


@require_POST
@moderator_page
def judge_listing(request: MemberRequest, organization: str, slug: str) -> HttpResponse:
    """Suspends a listing from its own page, or lifts that."""
    listing = get_object_or_404(Listing.objects.named(f"{organization}/{slug}"))
    verb = lift_suspension if listing.status == ListingStatus.SUSPENDED else suspend_listing
    try:
        verb(listing=listing, moderator=request.user, reason=request.POST.get("reason", ""))
        messages.success(request, _("Done. It is in the audit trail."))
    except StoreError as error:
        messages.error(request, error.message)
    return redirect("console:judge-listing-page", organization, slug)


@moderator_page
def listing(request: MemberRequest, organization: str, slug: str) -> HttpResponse:
    """A listing as a moderator sees it, suspended or not: what was said and decided about it."""
    found = get_object_or_404(
        Listing.objects.named(f"{organization}/{slug}").select_related("organization", "current_release")
    )
    shown = {
        "tab": "", "counts": counts(), "listing": found,
        "decisions": Decision.objects.of_listing(found)[:PER_PAGE],
        "reports": found.reports.select_related("reporter").order_by("-id")[:PER_PAGE],
    }  # fmt: skip
    return render(request, "console/moderation/listing.html", shown)


def _chosen(request: MemberRequest, verbs: list[str]) -> ChosenForm:
    form = ChosenForm(request.POST, verbs=verbs)
    if not form.is_valid():
        raise InvalidRequest(_("Choose what to do, and write a reason of at most 2000 characters."))
    if not form.cleaned_data["chosen"]:
        raise InvalidRequest(_("Tick at least one row."), param="chosen")
    return form


def _by(request: MemberRequest, form: ChosenForm) -> dict[str, Any]:
    return {"moderator": request.user, "reason": form.cleaned_data["reason"]}


def _done(request: MemberRequest, page: str, act: Callable[[], int]) -> HttpResponse:
    """One verb and its answer, above the queue that it came from."""
    try:
        done = act()
        said = ngettext(
            "%(done)d is done; it is in the audit trail.", "%(done)d are done; they are in the audit trail.", done
        )
        messages.success(request, said % {"done": done})
    except StoreError as error:
        messages.error(request, error.message)
    return redirect(page)
