"""The way of a model into the store, one page a step. What a page shows is read from the rows: any of them can be left and come back to."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST
from django_htmx.http import HttpResponseClientRefresh

from store.accounts.actions import ENROLLING_ROLES, become_provider
from store.accounts.models import Organization, ProviderProfile
from store.catalog.actions.permission import PUBLISHING_ROLES
from store.catalog.actions.submissions import cancel_submission, publish_submission, submit_commit
from store.catalog.models import Listing, SubmissionStatus
from store.console.begin import begin_listing, change_details
from store.console.card import card_html
from store.console.context import role_in
from store.console.forms.people import ProviderForm
from store.console.forms.publish import DetailsForm
from store.console.managed import ManagedRequest, managed_page, show
from store.console.pages import MemberRequest, console_page
from store.console.problems import problem_rows
from store.console.repository import desk
from store.console.snippets import snippets
from store.console.wizard import Step, Way, drafts_of, first_stops, way_of
from store.errors import Conflict, InvalidRequest, NotFound, StoreError

WORKED_ON = (SubmissionStatus.CHECKING, SubmissionStatus.MEASURING, SubmissionStatus.IN_REVIEW)


@console_page
def start(request: MemberRequest, organization: Organization) -> HttpResponse:
    """The first step: a name. Above it what was begun before, and in its place the enrolment where that is missing."""
    profile = ProviderProfile.objects.filter(organization=organization).first()
    form = DetailsForm(request.POST if profile and request.method == "POST" else None)
    role = role_in(organization, request.user)
    if form.is_valid():
        try:
            listing = begin_listing(organization=organization, user=request.user, **form.first_terms())
            return redirect(way_of(listing).url(Step.FILES))
        except (InvalidRequest, Conflict) as error:
            form.refuse(error)
    shown = {
        "form": form, "profile": profile, "provider_form": ProviderForm(), "stops": first_stops(),
        "may_publish": role in PUBLISHING_ROLES, "may_enroll": role in ENROLLING_ROLES,
        "drafts": drafts_of(organization.pk),
    }  # fmt: skip
    return render(request, "console/publish/start.html", shown, status=422 if form.errors else 200)


@require_POST
@console_page
def enroll(request: MemberRequest, organization: Organization) -> HttpResponse:
    """Makes the organization a provider on the way."""
    form = ProviderForm(request.POST)
    if not form.is_valid():
        raise InvalidRequest(" ".join(str(each) for errors in form.errors.values() for each in errors))
    become_provider(organization=organization, user=request.user, **form.cleaned_data)
    messages.success(request, _("You are a provider now."))
    return redirect("console:publish")


@managed_page
def resume(request: ManagedRequest, listing: Listing) -> HttpResponse:
    """To the step that waits."""
    way = way_of(listing)
    return redirect(way.url(way.current))


@managed_page
def details(request: ManagedRequest, listing: Listing) -> HttpResponse:
    """The first step, again."""
    form = DetailsForm(request.POST or None, listing=listing)
    if form.is_valid():
        try:
            change_details(listing=listing, user=request.user, **form.terms())
            return redirect(way_of(listing).url(Step.FILES))
        except (InvalidRequest, Conflict) as error:
            form.refuse(error)
    return _step(request, way_of(listing), Step.DETAILS, form=form, status=422 if form.errors else 200)


@managed_page
def checks(request: ManagedRequest, listing: Listing) -> HttpResponse:
    """What the checks say; asks again by itself while they run, and goes on when they are through."""
    way = way_of(listing)
    if not way.has_files:
        return redirect(way.url(Step.FILES))
    return _step(request, way, Step.CHECKS, **_problems(way), **_mending(way, request))


@managed_page
def numbers(request: ManagedRequest, listing: Listing) -> HttpResponse:
    """What is measured, while it is measured."""
    way = way_of(listing)
    if not way.may_see(Step.NUMBERS):
        return redirect(way.url(way.current))
    return _step(request, way, Step.NUMBERS, **_problems(way))


@managed_page
def review(request: ManagedRequest, listing: Listing) -> HttpResponse:
    """Everything at a glance, and the last word."""
    way = way_of(listing)
    if not way.may_see(Step.REVIEW):
        return redirect(way.url(way.current))
    release = way.submission.release if way.submission else None
    card = card_html(release.card, model=listing.name, revision=way.head.oid) if release and way.head else ""
    return _step(request, way, Step.REVIEW, card=card)


@managed_page
def done(request: ManagedRequest, listing: Listing) -> HttpResponse:
    """It is in the store: its address, a key, the first call."""
    way = way_of(listing)
    if not way.may_see(Step.DONE):
        return redirect(way.url(way.current))
    link = f"{settings.PUBLIC_URL}{reverse('console:listing', args=[listing.organization.slug, listing.slug])}"
    return _step(request, way, Step.DONE, link=link, snippets=snippets(listing.name))


@require_POST
@managed_page
def submit(request: ManagedRequest, listing: Listing) -> HttpResponse:
    """Sends the newest files to be checked."""
    submit_commit(listing=listing, user=request.user)
    return redirect(way_of(listing).url(Step.CHECKS))


@require_POST
@managed_page
def cancel(request: ManagedRequest, listing: Listing) -> HttpResponse:
    """Takes back what is on its way."""
    way = way_of(listing)
    if way.submission is None:
        raise NotFound
    cancel_submission(submission=way.submission, user=request.user)
    return redirect(way.url(Step.FILES))


@require_POST
@managed_page
def publish(request: ManagedRequest, listing: Listing) -> HttpResponse:
    """The provider's last word."""
    way = way_of(listing)
    if way.submission is None:
        raise NotFound
    try:
        publish_submission(submission=way.submission, user=request.user)
    except StoreError as error:
        messages.error(request, error.message)
    way = way_of(listing)
    return redirect(way.url(way.current))


def _problems(way: Way) -> dict[str, Any]:
    return {"problems": problem_rows(way.submission.problems) if way.submission else []}


def _mending(way: Way, request: ManagedRequest) -> dict[str, Any]:
    """What it takes to send files again from the page that names the problems."""
    is_rejected = way.submission and way.submission.status == SubmissionStatus.REJECTED
    return desk(way.listing, request.user) if is_rejected else {}


def _step(request: ManagedRequest, way: Way, step: Step, *, status: int = 200, **shown: Any) -> HttpResponse:
    """A step's page. While somebody else works htmx asks for the moving part alone; when they are done, for the whole page."""
    shown = {"way": way, "stops": way.stops(step), **shown}
    if not request.htmx:  # type: ignore[attr-defined]
        return show(request, way.listing, f"publish/{step.value}.html", shown, status=status)
    if way.current != step or way.submission is None or way.submission.status not in WORKED_ON:
        return HttpResponseClientRefresh()
    return show(request, way.listing, f"publish/_{step.value}.html", shown)
