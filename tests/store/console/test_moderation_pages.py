from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from store.accounts.models import User
from store.catalog.models import Listing, ListingStatus, Release, Submission, SubmissionStatus
from store.moderation.actions import report_listing, suspend_listing
from store.moderation.models import Action, Appeal, AppealStatus, Decision, Report, ReportStatus
from tests.conftest import make_listing
from tests.store.console.conftest import Draft

QUEUES = ("", "/reports", "/appeals", "/trail")
REPORT = {"reason": "licence", "text": "It is a copy."}


@pytest.fixture
def judge(moderator: User) -> Client:
    """The moderator's browser."""
    client = Client()
    client.force_login(moderator)
    return client


@pytest.fixture
def waiting(listing: Listing, provider: User) -> Submission:
    """A second release of ``provider/bard``, in review."""
    draft = Draft(listing, provider)
    commit = draft.commit("model.safetensors", "config.json")
    current = listing.current_release
    assert current
    release = Release.objects.create(
        listing=listing, number=2, digest=f"sha256:{'ab' * 32}", size=2, architecture="GPT2LMHeadModel", parameters=99,
        context_length=512, vocab_size=256, card="# New <script>alert(1)</script>", commit=commit,
    )  # fmt: skip
    return Submission.objects.create(
        listing=listing, commit=commit, release=release, status=SubmissionStatus.IN_REVIEW, created_by=provider,
        card={"licence": "mit"},
    )  # fmt: skip


@pytest.mark.django_db
@pytest.mark.parametrize("queue", QUEUES)
def test_the_queues_are_for_moderators_and_to_others_not_there(judge: Client, seller: Client, queue: str) -> None:
    page = judge.get(f"/moderation{queue}").content.decode()
    assert 'class="empty"' in page
    assert seller.get(f"/moderation{queue}").status_code == 404
    assert Client().get(f"/moderation{queue}").status_code == 302


@pytest.mark.django_db
@pytest.mark.parametrize("address", ["/submissions", "/reports/judge", "/appeals/1", "/models/provider/bard/judge"])
def test_nobody_else_judges(seller: Client, listing: Listing, address: str) -> None:
    said = {"verb": "approve", "chosen": ["1"], "reason": "x"}
    assert seller.post(f"/moderation{address}", said).status_code == 404
    assert not Decision.objects.exists()


@pytest.mark.django_db
def test_a_submission_is_seen_with_what_it_changes_and_let_in(judge: Client, waiting: Submission) -> None:
    assert "provider/bard" in judge.get("/moderation").content.decode()
    page = judge.get(f"/moderation/submissions/{waiting.pk}").content.decode()
    assert "model.safetensors" in page
    assert "1 → 99" in page
    assert "<script>alert" not in page
    assert judge.post("/moderation/submissions", {"verb": "approve", "chosen": [waiting.pk]}).status_code == 302
    waiting.refresh_from_db()
    assert waiting.status == SubmissionStatus.PUBLISHED
    assert Decision.objects.get().action == Action.APPROVE
    assert judge.get(f"/moderation/submissions/{waiting.pk}").status_code == 404
    judge.post("/moderation/submissions", {"verb": "approve", "chosen": [waiting.pk]})  # replayed
    assert Decision.objects.count() == 1


@pytest.mark.django_db
def test_declining_needs_a_reason_which_the_provider_reads(judge: Client, seller: Client, waiting: Submission) -> None:
    said = {"verb": "decline", "chosen": [waiting.pk]}
    judge.post("/moderation/submissions", said)
    waiting.refresh_from_db()
    assert waiting.status == SubmissionStatus.IN_REVIEW
    judge.post("/moderation/submissions", {**said, "reason": "The card says nothing."})
    waiting.refresh_from_db()
    assert waiting.status == SubmissionStatus.DECLINED
    assert "The card says nothing." in seller.get("/publish/provider/bard/review").content.decode()


@pytest.mark.django_db
@pytest.mark.parametrize(
    "wrong",
    [{}, {"verb": "approve"}, {"verb": "explode", "chosen": ["1"]}, {"verb": "approve", "chosen": ["x", "9" * 30]},
     {"verb": "decline", "chosen": ["1"], "reason": "x" * 2001}],
)  # fmt: skip
def test_a_choice_that_makes_no_sense_decides_nothing(
    judge: Client, waiting: Submission, wrong: dict[str, Any]
) -> None:
    assert judge.post("/moderation/submissions", wrong).status_code == 400
    assert not Decision.objects.exists()


@pytest.mark.django_db
def test_a_report_is_written_changed_and_dismissed(browser: Client, judge: Client, listing: Listing) -> None:
    assert browser.post("/provider/bard/report", REPORT)["Location"] == "/provider/bard"
    assert "reported this model before" in browser.get("/provider/bard/report").content.decode()
    browser.post("/provider/bard/report", {**REPORT, "text": "It is a <b>copy</b> of mine."})
    report = Report.objects.get()
    page = judge.get("/moderation/reports").content.decode()
    assert "&lt;b&gt;copy&lt;/b&gt; of mine." in page
    judge.post("/moderation/reports/judge", {"verb": "dismiss", "chosen": [report.pk], "reason": "It is not."})
    report.refresh_from_db()
    assert report.status == ReportStatus.DISMISSED
    assert "It is not." in judge.get("/moderation/trail").content.decode()
    assert "It is not." in judge.get("/moderation/trail", {"model": "provider/bard"}).content.decode()
    assert "It is not." not in judge.get("/moderation/trail", {"model": "provider/other"}).content.decode()


@pytest.mark.django_db
@pytest.mark.parametrize("wrong", [{"reason": "no"}, {"text": ""}, {"text": "x" * 4001}])
def test_a_report_that_says_nothing_is_none(browser: Client, listing: Listing, wrong: dict[str, str]) -> None:
    assert browser.post("/provider/bard/report", {**REPORT, **wrong}).status_code == 422
    assert not Report.objects.exists()


@pytest.mark.django_db
def test_what_one_may_not_see_one_cannot_report(browser: Client, draft: Draft) -> None:
    assert browser.get("/provider/verse/report").status_code == 404
    assert Client().get("/provider/verse/report").status_code == 302


@pytest.mark.django_db
def test_several_models_are_suspended_from_their_reports(
    judge: Client, consumer: User, provider: User, listing: Listing
) -> None:
    other = make_listing(provider.personal_organization, "other")
    for each in (listing, other):
        report_listing(listing=each, user=consumer, reason="spam", text="Spam.")
    chosen = list(Report.objects.values_list("pk", flat=True))
    judge.post("/moderation/reports/judge", {"verb": "suspend", "chosen": chosen, "reason": "Spam."})
    assert set(Listing.objects.values_list("status", flat=True)) == {ListingStatus.SUSPENDED}
    assert "No reports" in judge.get("/moderation/reports").content.decode()


@pytest.mark.django_db
def test_a_suspension_is_appealed_against_and_lifted(judge: Client, seller: Client, listing: Listing) -> None:
    at = "/moderation/models/provider/bard"
    judge.post(f"{at}/judge", {"reason": "Not yours."})
    listing.refresh_from_db()
    assert listing.status == ListingStatus.SUSPENDED
    assert "Lift the suspension" in judge.get(at).content.decode()
    assert "Not yours." in seller.get("/provider/bard/manage").content.decode()
    assert seller.post("/provider/bard/manage/appeal", {"text": ""}).status_code == 422
    assert seller.post("/provider/bard/manage/appeal", {"text": "It is ours."}).status_code == 302
    seller.post("/provider/bard/manage/appeal", {"text": "Again."})
    appeal = Appeal.objects.get()
    assert appeal.text == "It is ours."  # one against a decision
    assert "It is ours." in judge.get("/moderation/appeals").content.decode()
    judge.post(f"/moderation/appeals/{appeal.pk}", {"verb": "grant", "answer": "Sorry."})
    appeal.refresh_from_db()
    listing.refresh_from_db()
    assert (appeal.status, listing.status) == (AppealStatus.GRANTED, ListingStatus.PUBLISHED)
    assert judge.post(f"/moderation/appeals/{appeal.pk}", {"verb": "grant", "answer": "x"}).status_code == 404
    assert seller.get("/provider/bard/manage/appeal").status_code == 404  # nothing is decided against it any more


@pytest.mark.django_db
def test_a_rejected_appeal_shows_its_answer(judge: Client, seller: Client, moderator: User, listing: Listing) -> None:
    suspend_listing(listing=listing, moderator=moderator, reason="Not yours.")
    seller.post("/provider/bard/manage/appeal", {"text": "It is ours."})
    judge.post(f"/moderation/appeals/{Appeal.objects.get().pk}", {"verb": "reject", "answer": "It is not."})
    assert "It is not." in seller.get("/provider/bard/manage/appeal").content.decode()
    judge.post("/moderation/models/provider/bard/judge", {"reason": "After all."})
    listing.refresh_from_db()
    assert listing.status == ListingStatus.PUBLISHED
