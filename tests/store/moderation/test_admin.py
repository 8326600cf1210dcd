"""Moderators who work in the admin: the same verbs, many rows at a time, with a reason."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from store.accounts.models import User
from store.catalog.actions import publish_submission, set_price
from store.catalog.models import Listing, ListingStatus, Submission, SubmissionStatus
from store.moderation.actions import report_listing
from store.moderation.models import Decision, Report, ReportStatus
from tests.store.catalog.drafts import PRICE, make_ready

pytestmark = pytest.mark.django_db


def do(staff: Client, model: str, action: str, ids: list[int], reason: str = "") -> str:
    address = reverse(f"admin:{model}_changelist")
    data = {"action": action, "_selected_action": ids, "reason": reason}
    return staff.post(address, data, follow=True).content.decode()


@pytest.mark.parametrize(
    ("action", "status"), [("approve", SubmissionStatus.PUBLISHED), ("decline", SubmissionStatus.DECLINED)]
)
def test_submissions_in_review_are_decided_with_a_reason(
    staff: Client, provider: User, settings: Settings, action: str, status: SubmissionStatus
) -> None:
    settings.REVIEW = "moderator"
    submission = make_ready(provider)
    set_price(listing=submission.listing, user=provider, price=PRICE)
    publish_submission(submission=submission, user=provider)
    assert "was decided" in do(staff, "catalog_submission", action, [submission.pk], "Looked at it.")
    assert (Submission.objects.get().status, Decision.objects.get().reason) == (status, "Looked at it.")


def test_a_decision_that_needs_a_reason_is_not_made_without_one(
    staff: Client, listing: Listing, consumer: User
) -> None:
    report = report_listing(listing=listing, user=consumer, reason="spam", text="It is.")
    assert "Give a reason" in do(staff, "moderation_report", "suspend", [report.pk])
    assert Listing.objects.get().status == ListingStatus.PUBLISHED
    do(staff, "moderation_report", "suspend", [report.pk], "Spam.")
    assert (Listing.objects.get().status, Report.objects.get().status) == (ListingStatus.SUSPENDED, ReportStatus.UPHELD)


def test_reports_are_dismissed(staff: Client, listing: Listing, consumer: User) -> None:
    report = report_listing(listing=listing, user=consumer, reason="spam", text="It is.")
    do(staff, "moderation_report", "dismiss", [report.pk])
    assert Report.objects.get().status == ReportStatus.DISMISSED
