"""From a commit to the shelf: each step, whoever comes twice, too late, or from elsewhere."""

from __future__ import annotations

import threading
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection
from django.utils import timezone
from pytest_django import Settings

from inference.manifest import Problem
from store.accounts.models import Membership, Role, User
from store.catalog.actions import (
    NotInThisState,
    approve_submission,
    cancel_submission,
    decline_submission,
    edit_listing,
    publish_submission,
    set_price,
    submit_commit,
)
from store.catalog.actions.prices import PriceSpec
from store.catalog.actions.repositories import create_listing
from store.catalog.actions.submissions import PriceMissing, due_checks, run_check
from store.catalog.models import (
    Listing,
    ListingStatus,
    Notice,
    NoticeKind,
    Release,
    Submission,
    SubmissionStatus,
)
from store.errors import InvalidRequest, NotFound, PermissionDenied
from tests.conftest import make_user
from tests.store.catalog.drafts import (
    PRICE,
    add_folder,
    add_text,
    check,
    make_draft,
    make_published,
    make_ready,
    measure,
)
from tests.store.catalog.folders import write_folder

pytestmark = pytest.mark.django_db
S = SubmissionStatus


def told(kind: NoticeKind) -> list[str]:
    return list(Notice.objects.filter(kind=kind).values_list("user__email", flat=True))


def test_a_good_folder_is_checked_measured_and_published(provider: User, tmp_path: Path) -> None:
    listing = make_draft(provider)
    commit = add_folder(listing, provider, write_folder(tmp_path / "tiny"))
    submission = submit_commit(listing=listing, user=provider)
    assert (submission.status, submission.commit) == (S.CHECKING, commit)
    run_check(submission.pk)
    submission.refresh_from_db()
    assert submission.problems == []
    assert submission.status == S.MEASURING
    release = Release.objects.get()
    assert (release.digest, release.commit, release.architecture) == (commit.digest, commit, "GPT2LMHeadModel")
    assert (release.created_by, release.number, release.context_length) == (provider, 1, 64)
    assert measure(submission).status == S.READY
    set_price(listing=listing, user=provider, price=PRICE)
    publish_submission(submission=submission, user=provider)
    listing.refresh_from_db()
    assert (listing.status, listing.current_release) == (ListingStatus.PUBLISHED, release)
    assert (listing.licence, listing.summary, listing.tags) == ("apache-2.0", "Noise, on purpose.", ["test", "tiny"])
    assert listing.published_at is not None


def test_a_folder_with_problems_is_rejected_and_its_people_are_told(provider: User, tmp_path: Path) -> None:
    listing = make_draft(provider)
    folder = write_folder(tmp_path / "tiny")
    (folder / "tokenizer.json").write_text("{")
    submission = submit_commit(listing=listing, user=provider, commit=add_folder(listing, provider, folder))
    run_check(submission.pk)
    submission.refresh_from_db()
    assert submission.status == S.REJECTED
    assert "tokenizer.json" in {problem["path"] for problem in submission.problems}
    assert not Release.objects.exists()
    assert told(NoticeKind.REJECTED) == [provider.email]


def test_the_same_commit_again_is_the_same_submission_and_another_commit_cancels_it(provider: User) -> None:
    listing = make_draft(provider)
    first = submit_commit(listing=listing, user=provider)
    assert submit_commit(listing=listing, user=provider) == first
    add_text(listing, provider, README__md="---\nlicense: mit\n---\n# Other\n")
    second = submit_commit(listing=listing, user=provider)
    first.refresh_from_db()
    assert (first.status, second.status) == (S.CANCELLED, S.CHECKING)


def test_nothing_to_check_is_refused(provider: User) -> None:
    listing = create_listing(organization=provider.personal_organization, user=provider, slug="empty")
    with pytest.raises(InvalidRequest) as refused:
        submit_commit(listing=listing, user=provider)
    assert refused.value.param == "commit"


def test_another_listings_commit_is_not_found(provider: User) -> None:
    listing, other = make_draft(provider, "one"), make_draft(provider, "two")
    with pytest.raises(NotFound):
        submit_commit(listing=listing, user=provider, commit=other.commits.latest("id"))


def test_strangers_and_viewers_find_nothing_to_submit_publish_or_cancel(provider: User, stranger: User) -> None:
    submission = make_ready(provider)
    viewer = make_user("viewer")
    Membership.objects.create(organization=submission.listing.organization, user=viewer, role=Role.VIEWER)
    for user in (stranger, viewer):
        with pytest.raises(NotFound):
            submit_commit(listing=submission.listing, user=user)
        with pytest.raises(NotFound):
            publish_submission(submission=submission, user=user)
        with pytest.raises(NotFound):
            cancel_submission(submission=submission, user=user)


def test_a_suspended_listing_takes_no_submission_and_publishes_none(provider: User) -> None:
    submission = make_ready(provider)
    set_price(listing=submission.listing, user=provider, price=PRICE)
    Listing.objects.update(status=ListingStatus.SUSPENDED)
    with pytest.raises(NotInThisState):
        submit_commit(listing=submission.listing, user=provider)
    with pytest.raises(NotInThisState):
        publish_submission(submission=submission, user=provider)
    submission.refresh_from_db()
    assert submission.status == S.READY


def test_a_release_without_a_licence_is_rejected(provider: User) -> None:
    listing = make_draft(provider, card="# No licence\n")
    submission = check(submit_commit(listing=listing, user=provider))
    assert [problem["code"] for problem in submission.problems] == ["no_licence"]


def test_nothing_is_published_without_a_price(provider: User) -> None:
    submission = make_ready(provider)
    with pytest.raises(PriceMissing):
        publish_submission(submission=submission, user=provider)
    set_price(listing=submission.listing, user=provider, price=PriceSpec(input_nano=0, output_nano=0))
    assert publish_submission(submission=submission, user=provider).status == S.PUBLISHED


def test_nothing_is_published_before_it_was_checked_and_measured(provider: User) -> None:
    submission = submit_commit(listing=make_draft(provider), user=provider)
    set_price(listing=submission.listing, user=provider, price=PRICE)
    with pytest.raises(NotInThisState):
        publish_submission(submission=submission, user=provider)
    with pytest.raises(NotInThisState):
        publish_submission(submission=check(submission), user=provider)


def test_publishing_again_changes_nothing(provider: User) -> None:
    listing = make_published(provider)
    submission = listing.submissions.get()
    assert publish_submission(submission=submission, user=provider).decided_at == submission.decided_at
    assert Listing.objects.get().published_at == listing.published_at


def test_the_next_release_takes_the_place_of_the_first_and_has_the_next_number(provider: User) -> None:
    listing = make_published(provider)
    first = listing.current_release
    add_text(listing, provider, config__json='{"other": 1}')
    submission = measure(check(submit_commit(listing=listing, user=provider)))
    publish_submission(submission=submission, user=provider)
    listing.refresh_from_db()
    assert listing.current_release is not None
    assert first is not None
    assert (listing.current_release != first, listing.current_release.number, first.number) == (True, 2, 1)


@pytest.mark.parametrize("step", ["checking", "measuring", "ready", "in_review"])
def test_a_submission_can_be_cancelled_at_each_step(provider: User, settings: Settings, step: str) -> None:
    settings.REVIEW = "moderator"
    submission = submit_commit(listing=make_draft(provider), user=provider)
    set_price(listing=submission.listing, user=provider, price=PRICE)
    if step != "checking":
        check(submission)
    if step in ("ready", "in_review"):
        measure(submission)
    if step == "in_review":
        publish_submission(submission=submission, user=provider)
    assert Submission.objects.get().status == step
    cancel_submission(submission=submission, user=provider)
    assert cancel_submission(submission=submission, user=provider).status == S.CANCELLED
    check(submission)
    assert Submission.objects.get().status == S.CANCELLED
    with pytest.raises(NotInThisState):
        publish_submission(submission=submission, user=provider)


def test_what_is_published_cannot_be_cancelled(provider: User) -> None:
    listing = make_published(provider)
    with pytest.raises(NotInThisState):
        cancel_submission(submission=listing.submissions.get(), user=provider)


def test_an_older_attempt_is_not_heard(provider: User) -> None:
    submission = submit_commit(listing=make_draft(provider), user=provider)
    Submission.objects.update(attempts=2)
    check(submission)
    assert Submission.objects.get().status == S.CHECKING


def test_a_check_that_is_in_hand_is_not_begun_again(provider: User) -> None:
    submission = submit_commit(listing=make_draft(provider), user=provider)
    assert due_checks() == [submission.pk]
    Submission.objects.update(due_at=timezone.now() + timedelta(seconds=20))
    run_check(submission.pk)
    assert due_checks() == []
    assert Submission.objects.get().attempts == 0


def test_files_that_kill_their_worker_three_times_are_rejected_with_a_sentence(provider: User) -> None:
    submission = submit_commit(listing=make_draft(provider), user=provider)
    Submission.objects.update(attempts=3)
    run_check(submission.pk)
    submission.refresh_from_db()
    assert (submission.status, submission.problems[0]["code"]) == (S.REJECTED, "check_broken_off")


def test_a_check_of_what_is_gone_does_nothing(db: None) -> None:
    run_check(12345)
    assert not Submission.objects.exists()


def test_with_moderators_the_first_release_is_reviewed_and_the_next_is_not(
    provider: User, moderator: User, settings: Settings
) -> None:
    settings.REVIEW = "moderator"
    submission = make_ready(provider)
    listing = submission.listing
    set_price(listing=listing, user=provider, price=PRICE)
    assert publish_submission(submission=submission, user=provider).status == S.IN_REVIEW
    assert Listing.objects.get().status == ListingStatus.DRAFT
    assert approve_submission(submission=submission, moderator=moderator, reason="Fine.").status == S.PUBLISHED
    assert Listing.objects.get().status == ListingStatus.PUBLISHED
    assert told(NoticeKind.APPROVED) == [provider.email]
    add_text(listing, provider, config__json='{"other": 1}')
    second = measure(check(submit_commit(listing=listing, user=provider)))
    assert publish_submission(submission=second, user=provider).status == S.PUBLISHED


@pytest.mark.parametrize("change", ["licence", "terms"])
def test_new_terms_are_reviewed(provider: User, settings: Settings, change: str) -> None:
    listing = make_published(provider)
    settings.REVIEW = "moderator"
    card = "---\nlicense: mit\n---\n# Bard\n" if change == "licence" else "---\nlicense: apache-2.0\n---\n# Other\n"
    add_text(listing, provider, README__md=card, config__json='{"other": 1}')
    if change == "terms":
        terms = PriceSpec(input_nano=1, output_nano=1, derivatives_allowed=True, royalty_ppm=50_000)
        set_price(listing=listing, user=provider, price=terms)
    submission = measure(check(submit_commit(listing=listing, user=provider)))
    assert publish_submission(submission=submission, user=provider).status == S.IN_REVIEW


def test_a_declined_submission_stays_off_the_shelf_with_the_reason(
    provider: User, moderator: User, stranger: User, settings: Settings
) -> None:
    settings.REVIEW = "moderator"
    submission = make_ready(provider)
    set_price(listing=submission.listing, user=provider, price=PRICE)
    with pytest.raises(NotInThisState):
        approve_submission(submission=submission, moderator=moderator)
    publish_submission(submission=submission, user=provider)
    with pytest.raises(PermissionDenied):
        approve_submission(submission=submission, moderator=stranger)
    with pytest.raises(InvalidRequest):
        decline_submission(submission=submission, moderator=moderator, reason=" ")
    declined = decline_submission(submission=submission, moderator=moderator, reason="Not yours.")
    assert (declined.status, declined.reason, declined.decided_by) == (S.DECLINED, "Not yours.", moderator)
    with pytest.raises(NotInThisState):
        approve_submission(submission=submission, moderator=moderator)
    assert Listing.objects.get().status == ListingStatus.DRAFT
    assert told(NoticeKind.DECLINED) == [provider.email]


def test_a_problem_of_the_checks_is_shown_as_it_is(provider: User) -> None:
    problem = Problem("model.safetensors", "bad_shape", "h.0 has another shape.")
    submission = check(submit_commit(listing=make_draft(provider), user=provider), problems=(problem,))
    assert submission.problems == [
        {"path": "model.safetensors", "code": "bad_shape", "message": "h.0 has another shape."}
    ]


@pytest.mark.django_db(transaction=True)
def test_of_two_that_publish_at_once_one_does_and_the_listing_is_whole(provider: User) -> None:
    submission = make_ready(provider)
    set_price(listing=submission.listing, user=provider, price=PRICE)
    outcomes: list[str] = []
    together = threading.Barrier(4)

    def publish() -> None:
        try:
            together.wait(30)
            outcomes.append(publish_submission(submission=submission, user=provider).status)
        finally:
            connection.close()

    threads = [threading.Thread(target=publish) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes == [S.PUBLISHED] * 4
    listing = Listing.objects.get()
    assert (listing.status, listing.current_release) == (ListingStatus.PUBLISHED, submission.release)
    assert Release.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_of_a_publish_and_a_cancel_at_once_one_counts(provider: User) -> None:
    submission = make_ready(provider)
    set_price(listing=submission.listing, user=provider, price=PRICE)
    together, failures = threading.Barrier(2), []

    def do(verb: object) -> None:
        try:
            together.wait(30)
            verb(submission=submission, user=provider)  # type: ignore[operator]
        except NotInThisState as error:
            failures.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=do, args=(verb,)) for verb in (publish_submission, cancel_submission)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(failures) == 1
    is_published = Submission.objects.get().status == S.PUBLISHED
    assert Listing.objects.get().status == (ListingStatus.PUBLISHED if is_published else ListingStatus.DRAFT)


def test_two_release_numbers_never_meet(provider: User) -> None:
    """The same content submitted again is the release that it was."""
    listing = make_published(provider)
    release = listing.current_release
    again = submit_commit(listing=listing, user=provider, commit=listing.submissions.get().commit)
    assert check(again).release == release
    assert again.status == S.READY
    edit_listing(listing=listing, user=provider, title="New")
    publish_submission(submission=again, user=provider)
    assert Release.objects.count() == 1
