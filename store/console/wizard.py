"""The way of a model into the store, as far as it has come. It is read from the rows each time, so it survives whatever a browser does."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from django.db import models
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from store.catalog.actions.repositories import CARD, MAIN
from store.catalog.models import (
    Commit,
    Listing,
    ListingStatus,
    Price,
    Ref,
    RefKind,
    Submission,
    SubmissionStatus,
)


class Step(models.TextChoices):
    DETAILS = "details", _("Name and licence")
    FILES = "files", _("Files")
    CHECKS = "checks", _("Checks")
    NUMBERS = "numbers", _("Measured numbers")
    PRICE = "price", _("Price")
    REVIEW = "review", _("Review")
    DONE = "done", _("Published")


ORDER = tuple(Step)
# Where a submission of the newest files stands; READY and what has no submission are decided in `Way.current`.
STEP_OF = {
    SubmissionStatus.CHECKING: Step.CHECKS,
    SubmissionStatus.REJECTED: Step.CHECKS,
    SubmissionStatus.CANCELLED: Step.CHECKS,
    SubmissionStatus.MEASURING: Step.NUMBERS,
    SubmissionStatus.UNFIT: Step.NUMBERS,
    SubmissionStatus.IN_REVIEW: Step.REVIEW,
    SubmissionStatus.DECLINED: Step.REVIEW,
    SubmissionStatus.PUBLISHED: Step.DONE,
}
# These can be looked at before their turn: the price is set while the checks run.
EARLY = (Step.DETAILS, Step.FILES, Step.PRICE)


@dataclass(frozen=True, slots=True)
class Stop:
    """A step as the stepper shows it. ``state`` is done, now, open or later; ``url`` is empty where one cannot go."""

    step: Step
    number: int
    url: str
    state: str
    is_here: bool


@dataclass(frozen=True)
class Way:
    """How far a listing has come: the head of main, the submission of it, the price."""

    listing: Listing
    head: Commit | None
    has_files: bool  # more than the card that the first step wrote
    submission: Submission | None  # the newest of the head's commit
    price: Price | None  # in force, or for a draft the one that will be

    @cached_property
    def current(self) -> Step:
        """The step that waits for somebody or something."""
        if not self.has_files:
            return Step.FILES
        if self.submission is None:
            return Step.CHECKS
        status = SubmissionStatus(self.submission.status)
        if status == SubmissionStatus.READY:
            return Step.REVIEW if self.price else Step.PRICE
        return STEP_OF[status]

    def stops(self, here: Step) -> list[Stop]:
        return [self._stop(step, number, here) for number, step in enumerate(ORDER, start=1)]

    def may_see(self, step: Step) -> bool:
        return step in EARLY or ORDER.index(step) <= ORDER.index(self.current)

    def url(self, step: Step) -> str:
        return reverse(f"console:publish-{step.value}", args=[self.listing.organization.slug, self.listing.slug])

    def _stop(self, step: Step, number: int, here: Step) -> Stop:
        at, now = ORDER.index(step), ORDER.index(self.current)
        if at < now or self.current == Step.DONE or (step == Step.PRICE and self.price):
            state = "done"
        elif at == now:
            state = "now"
        else:
            state = "open" if self.may_see(step) else "later"
        return Stop(step, number, self.url(step) if self.may_see(step) else "", state, step == here)


def first_stops() -> list[Stop]:
    """The stepper of a model that has no name yet."""
    return [
        Stop(step, number, "", "now" if step == Step.DETAILS else "later", step == Step.DETAILS)
        for number, step in enumerate(ORDER, start=1)
    ]


def head_of(listing: Listing) -> Commit | None:
    """The newest commit of main."""
    ref = Ref.objects.filter(listing=listing, kind=RefKind.BRANCH, name=MAIN).select_related("commit").first()
    return ref.commit if ref else None


def way_of(listing: Listing) -> Way:
    head = head_of(listing)
    submissions = Submission.objects.filter(listing=listing).select_related("release", "measurement")
    return Way(
        listing=listing,
        head=head,
        has_files=head is not None and head.files.exclude(path=CARD).exists(),
        submission=submissions.filter(commit=head).order_by("-id").first() if head else None,
        price=listing.prices.current().first(),
    )


def drafts_of(organization_id: int) -> models.QuerySet[Listing]:
    """Models of the organization that were begun and never published, the newest first."""
    drafts = Listing.objects.filter(organization=organization_id, status=ListingStatus.DRAFT, deleted_at=None)
    return drafts.select_related("organization").order_by("-pk")
