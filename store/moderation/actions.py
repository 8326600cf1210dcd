"""What moderators do, and what people ask them to look at. Every decision is a row that stays."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any, ClassVar

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from store.accounts.models import User
from store.catalog.actions.errors import NotInThisState
from store.catalog.actions.listings import SUSPENSIONS, check_reason
from store.catalog.actions.moves import Transitions, move
from store.catalog.actions.notices import tell
from store.catalog.actions.permission import check_moderator, may_publish, publishers_of
from store.catalog.actions.review import approve_submission, decline_submission
from store.catalog.models import CALLABLE, Listing, ListingStatus, NoticeKind, Submission
from store.errors import InvalidRequest, NotFound, StoreError
from store.moderation.models import Action, Appeal, AppealStatus, Decision, Report, ReportReason, ReportStatus

MAX_TEXT = 4000
REPORTS_PER_DAY = 20  # of one person
APPEALABLE = (Action.SUSPEND, Action.DECLINE)

REPORT_TRANSITIONS: Transitions = {ReportStatus.OPEN: (ReportStatus.UPHELD, ReportStatus.DISMISSED)}
APPEAL_TRANSITIONS: Transitions = {AppealStatus.OPEN: (AppealStatus.GRANTED, AppealStatus.REJECTED)}


class TooManyReports(StoreError):
    """One person has reported as much as they may in a day."""

    code: ClassVar[str] = "too_many_reports"
    status: ClassVar[int] = 429


@transaction.atomic
def report_listing(*, listing: Listing, user: User, reason: ReportReason | str, text: str) -> Report:
    """Says that something is wrong with a listing. Reporting again while that is open changes the words.

    Raises NotFound, InvalidRequest (``reason``, ``text``), TooManyReports.
    """
    if not Listing.objects.visible_to(user).filter(pk=listing.pk).exists():
        raise NotFound(_("There is no such model."))
    if reason not in ReportReason.values:
        raise InvalidRequest(_("Choose what is wrong."), param="reason")
    said = {"reason": reason, "text": _text(text)}
    User.objects.select_for_update(no_key=True).only("pk").get(pk=user.pk)  # one at a time, so that the count is right
    if Report.objects.filter(listing=listing, reporter=user, status=ReportStatus.OPEN).update(**said):
        return Report.objects.get(listing=listing, reporter=user, status=ReportStatus.OPEN)
    today = timezone.now() - timedelta(days=1)
    if Report.objects.filter(reporter=user, created_at__gt=today).count() >= REPORTS_PER_DAY:
        raise TooManyReports(_("You have reported much today. Write again tomorrow."), retry_after_s=24 * 3600)
    return Report.objects.create(listing=listing, reporter=user, **said)


def _text(text: str) -> str:
    words = text.strip()
    if not 0 < len(words) <= MAX_TEXT or "\0" in words:
        raise InvalidRequest(_("Say what is wrong, in at most 4000 characters."), param="text")
    return words


@transaction.atomic
def dismiss_report(*, report: Report, moderator: User, reason: str = "") -> Decision:
    """Nothing is done about it. Raises PermissionDenied, NotInThisState."""
    check_moderator(moderator)
    words = check_reason(reason)
    current = Report.objects.select_related("listing").get(pk=report.pk)
    move(current, ReportStatus.DISMISSED, REPORT_TRANSITIONS, decided_at=timezone.now())
    return _decide(current.listing, moderator, Action.DISMISS, words, report=current)


@transaction.atomic
def suspend_listing(*, listing: Listing, moderator: User, reason: str) -> Decision:
    """Nobody calls or publishes it from now on, and its provider is told why; its open reports are upheld.

    Raises PermissionDenied, InvalidRequest (``reason``), NotInThisState (it is suspended).
    """
    check_moderator(moderator)
    words = check_reason(reason, required=True)
    row = _locked(listing)
    decision = _decide(row, moderator, Action.SUSPEND, words)
    move(row, ListingStatus.SUSPENDED, SUSPENSIONS, status_reason=words)
    row.reports.filter(status=ReportStatus.OPEN).update(status=ReportStatus.UPHELD, decided_at=timezone.now())
    tell(publishers_of(row), NoticeKind.SUSPENDED, row, reason=words)
    return decision


@transaction.atomic
def lift_suspension(*, listing: Listing, moderator: User, reason: str = "") -> Decision:
    """The listing is as it was before. Raises PermissionDenied, NotInThisState."""
    check_moderator(moderator)
    words = check_reason(reason)
    row = _locked(listing)
    suspended = row.decisions.filter(action=Action.SUSPEND).order_by("-id").first()
    if row.status != ListingStatus.SUSPENDED or suspended is None:
        raise NotInThisState(_("It is not suspended."))
    decision = _decide(row, moderator, Action.LIFT, words)
    is_gone = row.deleted_at is not None or row.current_release_id is None  # it was deleted while it was suspended
    to = ListingStatus.WITHDRAWN if is_gone and suspended.status_before in CALLABLE else suspended.status_before
    move(row, to, SUSPENSIONS, status_reason="")
    tell(publishers_of(row), NoticeKind.LIFTED, row, reason=words)
    return decision


@transaction.atomic
def approve(*, submission: Submission, moderator: User, reason: str = "") -> Decision:
    """Publishes what is in review. Raises PermissionDenied, NotInThisState."""
    before = _locked(submission.listing).status
    current = approve_submission(submission=submission, moderator=moderator, reason=reason)
    return _decide(current.listing, moderator, Action.APPROVE, current.reason, before=before, submission=current)


@transaction.atomic
def decline(*, submission: Submission, moderator: User, reason: str) -> Decision:
    """Does not let it in, and says why. Raises PermissionDenied, InvalidRequest, NotInThisState."""
    current = decline_submission(submission=submission, moderator=moderator, reason=reason)
    return _decide(current.listing, moderator, Action.DECLINE, current.reason, submission=current)


@transaction.atomic
def appeal(*, decision: Decision, user: User, text: str) -> Appeal:
    """A provider asks for a suspension or a refusal to be looked at again; asking again is the same appeal.

    Raises NotFound, InvalidRequest (``text``), NotInThisState (nothing to appeal against).
    """
    listing = _locked(decision.listing)
    if not may_publish(listing.organization, user):
        raise NotFound(_("There is no such decision."))
    if decision.action not in APPEALABLE:
        raise NotInThisState(_("An appeal is made against a suspension or a refusal."))
    if decision.action == Action.SUSPEND and listing.status != ListingStatus.SUSPENDED:
        raise NotInThisState(_("It is not suspended any more."))
    words = _text(text)
    made, _is_new = Appeal.objects.get_or_create(decision=decision, defaults={"text": words, "created_by": user})
    return made


@transaction.atomic
def answer_appeal(*, appeal: Appeal, moderator: User, is_granted: bool, answer: str) -> Appeal:
    """A granted appeal lifts the suspension; after a refusal the provider may submit again.

    Raises PermissionDenied, InvalidRequest (``answer``), NotInThisState (it has an answer).
    """
    check_moderator(moderator)
    words = check_reason(answer, required=True)
    listing = _locked(appeal.decision.listing)
    current = Appeal.objects.select_related("decision").get(pk=appeal.pk)
    to = AppealStatus.GRANTED if is_granted else AppealStatus.REJECTED
    move(current, to, APPEAL_TRANSITIONS, answer=words, answered_by=moderator, answered_at=timezone.now())
    _decide(listing, moderator, Action.GRANT_APPEAL if is_granted else Action.REJECT_APPEAL, words)
    if is_granted and listing.status == ListingStatus.SUSPENDED:
        lift_suspension(listing=listing, moderator=moderator, reason=words)
    tell(
        publishers_of(listing), NoticeKind.APPEAL_ANSWERED, listing, answer=words, outcome=current.get_status_display()
    )
    return current


def _locked(listing: Listing) -> Listing:
    return (
        Listing.objects.select_for_update(of=("self",), no_key=True).select_related("organization").get(pk=listing.pk)
    )


def _decide(
    listing: Listing, moderator: User, action: Action, reason: str, *, before: str = "", **about: Any
) -> Decision:
    return Decision.objects.create(
        listing=listing,
        moderator=moderator,
        action=action,
        reason=reason,
        status_before=before or listing.status,
        **about,
    )


def dismiss_reports(*, reports: Iterable[Report], moderator: User, reason: str = "") -> int:
    """Those of ``reports`` that are still open. Returns how many."""
    check_moderator(moderator)
    return sum(_is_done(dismiss_report, report=report, moderator=moderator, reason=reason) for report in reports)


def suspend_listings(*, listings: Iterable[Listing], moderator: User, reason: str) -> int:
    """Those that are not suspended yet. Returns how many. Raises PermissionDenied, InvalidRequest."""
    check_moderator(moderator)
    check_reason(reason, required=True)
    return sum(_is_done(suspend_listing, listing=one, moderator=moderator, reason=reason) for one in listings)


def approve_all(*, submissions: Iterable[Submission], moderator: User, reason: str = "") -> int:
    """Those that are still in review. Returns how many. Raises PermissionDenied."""
    check_moderator(moderator)
    return sum(_is_done(approve, submission=one, moderator=moderator, reason=reason) for one in submissions)


def decline_all(*, submissions: Iterable[Submission], moderator: User, reason: str) -> int:
    """Those that are still in review. Returns how many. Raises PermissionDenied, InvalidRequest."""
    check_moderator(moderator)
    check_reason(reason, required=True)
    return sum(_is_done(decline, submission=one, moderator=moderator, reason=reason) for one in submissions)


def _is_done(verb: Any, **given: Any) -> bool:
    """Whether the verb could be done to one of many: what somebody else has decided meanwhile stays so."""
    try:
        verb(**given)
    except NotInThisState:
        return False
    return True
