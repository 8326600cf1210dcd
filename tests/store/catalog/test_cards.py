"""The card, edited in the browser: a commit, and where nothing else is new, on the shelf without being measured again."""

from __future__ import annotations

import pytest

from store.accounts.models import User
from store.catalog.actions import edit_card, publish_card
from store.catalog.actions.submissions import Submission
from store.catalog.models import Commit, Listing, Measurement, SubmissionStatus
from store.errors import InvalidRequest, NotFound
from tests.store.catalog.drafts import add_text, check, make_draft, make_published

pytestmark = pytest.mark.django_db

NEW = "---\nlicense: apache-2.0\nsummary: New words.\ntags: [verse]\n---\n# Bard\n\nNew.\n"


def test_an_edited_card_is_a_commit_with_the_other_files_as_they_were(provider: User) -> None:
    listing = make_draft(provider)
    commit = edit_card(listing=listing, user=provider, text=NEW.replace("\n", "\r\n"))
    assert set(commit.files.values_list("path", flat=True)) == {"README.md", "config.json"}
    assert edit_card(listing=listing, user=provider, text=NEW) == commit


@pytest.mark.parametrize("text", ["---\na: [\n---\n", "x" * (4 * 1024 * 1024 + 1), "a\0b"])
def test_a_card_that_cannot_be_one_is_refused(provider: User, text: str) -> None:
    listing = make_draft(provider)
    commits = Commit.objects.count()
    with pytest.raises(InvalidRequest) as refused:
        edit_card(listing=listing, user=provider, text=text)
    assert refused.value.param == "text"
    assert Commit.objects.count() == commits


def test_a_stranger_finds_no_card_to_edit(provider: User, stranger: User) -> None:
    listing = make_draft(provider)
    with pytest.raises(NotFound):
        edit_card(listing=listing, user=stranger, text=NEW)
    with pytest.raises(NotFound):
        publish_card(listing=listing, user=stranger, text=NEW)


def test_a_card_of_a_published_listing_is_on_the_shelf_once_checked_with_the_numbers_that_there_are(
    provider: User,
) -> None:
    listing = make_published(provider)
    submission = check(publish_card(listing=listing, user=provider, text=NEW))
    assert submission.status == SubmissionStatus.PUBLISHED
    listing.refresh_from_db()
    release = listing.current_release
    assert release is not None
    assert (listing.summary, listing.tags, release.number) == ("New words.", ["verse"], 2)
    assert release.card.startswith("# Bard")
    copied = Measurement.objects.get(release=release)
    first = Measurement.objects.get(release__number=1)
    assert (copied.perplexity, copied.measured_at) == (first.perplexity, first.measured_at)


def test_weights_that_came_meanwhile_do_not_go_live_with_a_card(provider: User) -> None:
    listing = make_published(provider)
    add_text(listing, provider, config__json='{"other": 1}')
    submission = check(publish_card(listing=listing, user=provider, text=NEW))
    assert submission.status == SubmissionStatus.MEASURING
    assert Listing.objects.get().current_release == listing.current_release


def test_a_draft_is_not_published_by_its_card(provider: User) -> None:
    submission = check(publish_card(listing=make_draft(provider), user=provider, text=NEW))
    assert (submission.status, Submission.objects.count()) == (SubmissionStatus.MEASURING, 1)
