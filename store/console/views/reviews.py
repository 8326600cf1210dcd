"""Reviews: read, write, reply, hide."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from store.accounts.models import Organization, User
from store.catalog.models import Listing
from store.console.forms.reviews import HideForm, ReplyForm, ReportReviewForm, ReviewForm
from store.console.numbers import small_int
from store.console.pages import MemberRequest, console_page, page
from store.console.reviewing import may_moderate, open_reports, review_page, rights_of, spread_of
from store.discovery.models import Standing
from store.errors import InvalidRequest, StoreError
from store.reputation.actions import hide_review, reply_review, report_review, show_review, write_review
from store.reputation.customers import paying_organization
from store.reputation.models import Review


@page
def reviews(request: HttpRequest, organization: str, slug: str) -> HttpResponse:
    """All reviews of a listing; for its customers, the form of their own."""
    listing = _listing(request.user, organization, slug)
    may_write = isinstance(request.user, User) and paying_organization(listing=listing, user=request.user)
    mine = Review.objects.filter(listing=listing, user_id=request.user.pk or 0).first()
    form = ReviewForm(request.POST or None, initial={"stars": mine.stars, "text": mine.text} if mine else None)
    if may_write and isinstance(request.user, User) and form.is_valid():
        try:
            write_review(listing=listing, user=request.user, **form.cleaned_data)
            messages.success(request, _("Your review is published."))
            return redirect("console:reviews", organization, slug)
        except StoreError as error:
            form.refuse(error)
    return _render(request, listing, form if may_write else None, mine)


def _render(request: HttpRequest, listing: Listing, form: ReviewForm | None, mine: Review | None) -> HttpResponse:
    rights = rights_of(request.user, listing)
    before = small_int(request.GET.get("before"))
    shown: dict[str, Any] = {
        "listing": listing,
        "form": form,
        "mine": mine,
        "page": review_page(request.user, listing, before=before),
        "is_older": before is not None,
        "standing": Standing.objects.filter(listing=listing).first(),
        "spread": spread_of(listing),
        "may_reply": rights.may_reply,
        "may_moderate": rights.may_moderate,
        "may_report": request.user.is_authenticated,
    }
    return render(request, "console/reviews.html", shown, status=422 if form and form.errors else 200)


@require_POST
@console_page
def reply(request: MemberRequest, organization: Organization, pk: int) -> HttpResponse:
    """The provider answers."""
    review = _review(request.user, pk)
    form = ReplyForm(request.POST)
    if not form.is_valid():
        raise InvalidRequest(_("A reply has words, and not too many."), param="text")
    reply_review(review=review, user=request.user, text=form.cleaned_data["text"])
    messages.success(request, _("Your reply is published."))
    return _back(review)


@require_POST
@console_page
def hide(request: MemberRequest, organization: Organization, pk: int) -> HttpResponse:
    """A moderator takes a review from the page."""
    review = _review(request.user, pk)
    form = HideForm(request.POST)
    if not form.is_valid():
        raise InvalidRequest(_("Say why, in at most 500 characters."), param="reason")
    hide_review(review=review, moderator=request.user, reason=form.cleaned_data["reason"])
    messages.success(request, _("The review is hidden."))
    return _back(review)


@require_POST
@console_page
def show(request: MemberRequest, organization: Organization, pk: int) -> HttpResponse:
    """A moderator brings it back."""
    review = _review(request.user, pk)
    show_review(review=review, moderator=request.user)
    messages.success(request, _("The review is shown again."))
    return _back(review)


@require_POST
@console_page
def report(request: MemberRequest, organization: Organization, pk: int) -> HttpResponse:
    """Somebody finds that it does not belong here."""
    review = _review(request.user, pk)
    form = ReportReviewForm(request.POST)
    if not form.is_valid():
        raise InvalidRequest(_("Say what is wrong with it, in at most 1000 characters."), param="text")
    report_review(review=review, user=request.user, text=form.cleaned_data["text"])
    messages.success(request, _("Thank you. A moderator will look at it."))
    return _back(review)


@console_page
def reported(request: MemberRequest, organization: Organization) -> HttpResponse:
    """What moderators have to look at; for everybody else there is no such page."""
    if not may_moderate(request.user):
        raise Http404
    return render(request, "console/reported_reviews.html", {"reports": open_reports()})


def _listing(user: Any, organization: str, slug: str) -> Listing:
    visible = Listing.objects.visible_to(user).named(f"{organization}/{slug}")
    return get_object_or_404(visible.select_related("organization"))


def _review(user: User, pk: int) -> Review:
    visible = Review.objects.all() if may_moderate(user) else Review.objects.visible_to(user)
    return get_object_or_404(visible.select_related("listing__organization"), pk=pk)


def _back(review: Review) -> HttpResponseRedirect:
    return redirect("console:reviews", review.listing.organization.slug, review.listing.slug)
