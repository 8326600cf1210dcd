"""Reports, decisions and appeals: who may, what follows, and that it stays written."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone
from pytest_django import Settings

from store.accounts.models import User
from store.catalog.actions import NotInThisState, publish_submission, set_price
from store.catalog.models import Listing, ListingStatus, Notice, NoticeKind, Submission, SubmissionStatus
from store.errors import InvalidRequest, NotFound, PermissionDenied
from store.moderation import actions
from store.moderation.models import Action, Appeal, AppealStatus, Decision, Report, ReportReason, ReportStatus
from tests.conftest import make_listing
from tests.store.catalog.drafts import PRICE, make_ready

pytestmark = pytest.mark.django_db


def report(listing: Listing, user: User, text: str = "It lies.") -> Report:
    return actions.report_listing(listing=listing, user=user, reason=ReportReason.MISLEADING, text=text)


def suspend(listing: Listing, moderator: User, reason: str = "Stolen.") -> Decision:
    return actions.suspend_listing(listing=listing, moderator=moderator, reason=reason)


def in_review(provider: User, slug: str) -> Submission:
    submission = make_ready(provider, slug)
    set_price(listing=submission.listing, user=provider, price=PRICE)
    return publish_submission(submission=submission, user=provider)


def test_a_report_waits_for_a_moderator(listing: Listing, consumer: User) -> None:
    made = report(listing, consumer)
    assert list(Report.objects.waiting()) == [made]


def test_reporting_again_changes_the_words_and_makes_no_second_report(listing: Listing, consumer: User) -> None:
    assert report(listing, consumer) == report(listing, consumer, "It lies still.")
    assert Report.objects.get().text == "It lies still."


@pytest.mark.parametrize(("reason", "text"), [("nonsense", "x"), ("spam", ""), ("spam", "x" * 4001), ("spam", "\0")])
def test_a_report_says_what_is_wrong(listing: Listing, consumer: User, reason: str, text: str) -> None:
    with pytest.raises(InvalidRequest):
        actions.report_listing(listing=listing, user=consumer, reason=reason, text=text)


def test_what_a_person_does_not_see_they_cannot_report(listing: Listing, consumer: User) -> None:
    Listing.objects.update(is_private=True)
    with pytest.raises(NotFound):
        report(listing, consumer)


def test_one_person_reports_twenty_listings_a_day(listing: Listing, consumer: User) -> None:
    for number in range(20):
        report(make_listing(listing.organization, f"other-{number}"), consumer)
    with pytest.raises(actions.TooManyReports):
        report(listing, consumer)
    Report.objects.update(created_at=timezone.now() - timedelta(days=2))
    assert report(listing, consumer)


def test_a_dismissed_report_leaves_the_queue_and_a_trace(listing: Listing, consumer: User, moderator: User) -> None:
    made = report(listing, consumer)
    decision = actions.dismiss_report(report=made, moderator=moderator, reason="It does not.")
    assert (decision.action, decision.report, decision.moderator) == (Action.DISMISS, made, moderator)
    assert not Report.objects.waiting().exists()
    with pytest.raises(NotInThisState):
        actions.dismiss_report(report=made, moderator=moderator)


def test_a_suspended_listing_is_off_the_shelf_its_reports_upheld_and_its_people_told(
    listing: Listing, consumer: User, moderator: User, provider: User
) -> None:
    made = report(listing, consumer)
    decision = suspend(listing, moderator)
    listing.refresh_from_db()
    made.refresh_from_db()
    assert (listing.status, listing.status_reason) == (ListingStatus.SUSPENDED, "Stolen.")
    assert (decision.status_before, made.status) == (ListingStatus.PUBLISHED, ReportStatus.UPHELD)
    notice = Notice.objects.get(kind=NoticeKind.SUSPENDED)
    assert (notice.user, notice.context["reason"]) == (provider, "Stolen.")
    with pytest.raises(NotInThisState):
        suspend(listing, moderator)


@pytest.mark.parametrize("status", [ListingStatus.DRAFT, ListingStatus.DEPRECATED, ListingStatus.WITHDRAWN])
def test_a_lifted_suspension_leads_back_to_where_the_listing_was(
    listing: Listing, moderator: User, status: ListingStatus
) -> None:
    Listing.objects.update(status=status)
    suspend(listing, moderator)
    actions.lift_suspension(listing=listing, moderator=moderator)
    assert Listing.objects.get().status == status
    with pytest.raises(NotInThisState):
        actions.lift_suspension(listing=listing, moderator=moderator)


def test_a_suspension_has_a_reason(listing: Listing, moderator: User) -> None:
    with pytest.raises(InvalidRequest):
        suspend(listing, moderator, "  ")
    with pytest.raises(InvalidRequest):
        actions.suspend_listings(listings=[listing], moderator=moderator, reason="")


def test_only_moderators_decide(listing: Listing, consumer: User, provider: User) -> None:
    made = report(listing, consumer)
    for user in (consumer, provider):
        for attempt in (
            lambda user=user: suspend(listing, user),
            lambda user=user: actions.lift_suspension(listing=listing, moderator=user),
            lambda user=user: actions.dismiss_report(report=made, moderator=user),
            lambda user=user: actions.dismiss_reports(reports=[made], moderator=user),
        ):
            with pytest.raises(PermissionDenied):
                attempt()


def test_a_moderator_approves_and_declines_many_at_once(provider: User, moderator: User, settings: Settings) -> None:
    settings.REVIEW = "moderator"
    submissions = [in_review(provider, slug) for slug in ("one", "two", "three")]
    actions.approve(submission=submissions[0], moderator=moderator)
    assert actions.approve_all(submissions=submissions[:2], moderator=moderator, reason="Good.") == 1
    assert actions.decline_all(submissions=submissions, moderator=moderator, reason="Bad.") == 1
    statuses = list(Submission.objects.order_by("pk").values_list("status", flat=True))
    assert statuses == [SubmissionStatus.PUBLISHED, SubmissionStatus.PUBLISHED, SubmissionStatus.DECLINED]
    trail = list(Decision.objects.order_by("pk").values_list("action", "status_before"))
    assert trail == [(Action.APPROVE, "draft"), (Action.APPROVE, "draft"), (Action.DECLINE, "draft")]


def test_a_provider_appeals_once_and_a_granted_appeal_lifts_the_suspension(
    listing: Listing, moderator: User, provider: User
) -> None:
    decision = suspend(listing, moderator)
    made = actions.appeal(decision=decision, user=provider, text="It is mine.")
    assert actions.appeal(decision=decision, user=provider, text="Again.") == made
    assert list(Appeal.objects.waiting()) == list(Appeal.objects.visible_to(provider)) == [made]
    answered = actions.answer_appeal(appeal=made, moderator=moderator, is_granted=True, answer="So it is.")
    assert (answered.status, answered.answered_by) == (AppealStatus.GRANTED, moderator)
    assert Listing.objects.get().status == ListingStatus.PUBLISHED
    assert set(Decision.objects.values_list("action", flat=True)) == {Action.SUSPEND, Action.GRANT_APPEAL, Action.LIFT}
    assert Notice.objects.get(kind=NoticeKind.APPEAL_ANSWERED).context["answer"] == "So it is."
    with pytest.raises(NotInThisState):
        actions.answer_appeal(appeal=made, moderator=moderator, is_granted=False, answer="No.")


def test_a_rejected_appeal_changes_nothing(listing: Listing, moderator: User, provider: User) -> None:
    made = actions.appeal(decision=suspend(listing, moderator), user=provider, text="Please.")
    with pytest.raises(InvalidRequest):
        actions.answer_appeal(appeal=made, moderator=moderator, is_granted=False, answer="")
    actions.answer_appeal(appeal=made, moderator=moderator, is_granted=False, answer="No.")
    assert Listing.objects.get().status == ListingStatus.SUSPENDED


def test_who_may_not_publish_for_it_finds_nothing_to_appeal_against(
    listing: Listing, moderator: User, provider: User, stranger: User
) -> None:
    decision = suspend(listing, moderator)
    with pytest.raises(NotFound):
        actions.appeal(decision=decision, user=stranger, text="Mine.")
    lifted = actions.lift_suspension(listing=listing, moderator=moderator)
    for late in (lifted, decision):
        with pytest.raises(NotInThisState):
            actions.appeal(decision=late, user=provider, text="Mine.")


def test_a_decision_cannot_be_changed_or_deleted(listing: Listing, moderator: User) -> None:
    suspend(listing, moderator)
    for change in (lambda: Decision.objects.update(reason="x"), lambda: Decision.objects.all()._raw_delete("default")):
        with pytest.raises(IntegrityError, match="a decision stays"), transaction.atomic():
            change()
