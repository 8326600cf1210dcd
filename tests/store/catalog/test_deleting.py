"""A deleted listing gives back the room that only it took: after a while, in which it can come back whole."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.core.files.storage import default_storage
from django.db import connection
from pytest_django import Settings

from inference.manifest import Adapter
from store.accounts.models import Organization, User
from store.catalog.actions import PriceSpec, publish_submission, set_price, submit_commit
from store.catalog.actions.errors import NotInThisState
from store.catalog.actions.listings import republish_listing
from store.catalog.actions.releases import find_base
from store.catalog.actions.repositories import commit_at, create_listing, delete_listing
from store.catalog.models import Blob, Listing, Release, SubmissionStatus
from store.catalog.storage import QuotaExceeded, collect_unused, reserve
from store.moderation.actions import lift_suspension, suspend_listing
from tests.store.catalog.drafts import add_text, check, make_draft, measure
from tests.store.uploads.conftest import files, use_of

__all__ = ["files"]  # where the bytes of a test lie: what others have left there would be swept up

CARD = "---\nlicense: apache-2.0\n---\n# Bard\n"
PRICE = PriceSpec(input_nano=1, output_nano=1)


@pytest.fixture
def organization(provider: User, settings: Settings) -> Organization:
    settings.STORAGE_LIMIT_BYTES = 2_000
    return provider.personal_organization


@pytest.fixture
def draft(provider: User, organization: Organization) -> Listing:
    """Two commits of 600 and 700 bytes, and a card."""
    listing = make_draft(provider, card=CARD)
    add_text(listing, provider, LICENSE="a" * 600)
    add_text(listing, provider, LICENSE="b" * 700)
    return listing


def publish(listing: Listing, user: User) -> Release:
    submission = check(submit_commit(listing=listing, user=user))
    if submission.status == SubmissionStatus.MEASURING:  # it was not before
        measure(submission)
    set_price(listing=listing, user=user, price=PRICE)
    published = publish_submission(submission=submission, user=user)
    listing.refresh_from_db()
    assert published.release
    return published.release


@pytest.fixture
def published(draft: Listing, provider: User, settings: Settings) -> Listing:
    settings.REVIEW_SUBMISSIONS = "none"
    publish(draft, provider)
    return draft


def after_the_grace(settings: Settings) -> None:
    """What was deleted, and what came, did so long ago."""
    settings.UPLOAD_EXPIRES_S = -1


def lie_there(*blobs: Blob) -> list[bool]:
    return [default_storage.exists(blob.storage_name) for blob in blobs]


def test_a_deleted_draft_makes_room_once_its_time_is_over(
    draft: Listing, organization: Organization, provider: User, settings: Settings
) -> None:
    used, _reserved = use_of(organization)
    with pytest.raises(QuotaExceeded):
        reserve(organization, 1_900)
    delete_listing(listing=draft, user=provider)
    assert collect_unused() == 0
    assert use_of(organization) == (used, 0)
    after_the_grace(settings)
    assert collect_unused() == used
    assert use_of(organization) == (0, 0)
    assert not any(lie_there(*Blob.objects.all()))
    reserve(organization, 1_900)
    assert collect_unused() == 0


def test_what_another_listing_has_too_stays(
    draft: Listing, organization: Organization, provider: User, settings: Settings
) -> None:
    other = make_draft(provider, "other", card=CARD)
    add_text(other, provider, LICENSE="b" * 700)
    delete_listing(listing=draft, user=provider)
    after_the_grace(settings)
    assert collect_unused() == 600
    assert use_of(organization) == (700 + len(CARD) + len("{}"), 0)
    assert all(lie_there(*(file.blob for commit in other.commits.all() for file in commit.files.all())))


def test_a_release_stays_in_the_books_without_its_bytes(
    published: Listing, organization: Organization, provider: User, settings: Settings
) -> None:
    release = published.current_release
    assert release
    files = list(release.files.order_by("path"))
    delete_listing(listing=published, user=provider)
    after_the_grace(settings)
    assert collect_unused() > 700
    assert use_of(organization) == (0, 0)
    assert list(Release.objects.get().files.order_by("path")) == files
    assert not any(lie_there(*(file.blob for file in files)))
    assert collect_unused() == 0


def test_what_anothers_adapter_is_served_on_stays_and_counts(
    published: Listing, organization: Organization, consumer: User, provider: User, settings: Settings
) -> None:
    base = published.current_release
    assert base
    theirs = Listing.objects.create(organization=consumer.personal_organization, slug="style", licence="mit")
    adapter = Release.objects.create(
        listing=theirs, number=1, digest=f"sha256:{1:064x}", size=1, architecture="GPT2LMHeadModel", parameters=1,
        context_length=64, vocab_size=300, base=base,
    )  # fmt: skip
    delete_listing(listing=published, user=provider)
    after_the_grace(settings)
    assert collect_unused() == 600  # of the commit that was no release
    assert all(lie_there(*(file.blob for file in base.files.all())))
    assert use_of(organization)[0] == base.size
    Listing.objects.filter(pk=adapter.listing_id).update(deleted_at=published.created_at)
    assert collect_unused() == base.size
    assert use_of(organization) == (0, 0)


def test_in_time_it_comes_back_as_it_was(published: Listing, provider: User, settings: Settings) -> None:
    delete_listing(listing=published, user=provider)
    collect_unused()
    again = create_listing(organization=published.organization, user=provider, slug=published.slug)
    after_the_grace(settings)
    assert collect_unused() == 0
    assert republish_listing(listing=again, user=provider).current_release == published.current_release


def test_later_it_comes_back_empty_and_can_be_filled_with_the_same(
    published: Listing, organization: Organization, provider: User, settings: Settings
) -> None:
    release = published.current_release
    assert release
    assert release.commit
    delete_listing(listing=published, user=provider)
    after_the_grace(settings)
    collect_unused()
    again = create_listing(organization=organization, user=provider, slug=published.slug)
    assert again.current_release is None
    with pytest.raises(NotInThisState, match="no release"):
        republish_listing(listing=again, user=provider)
    assert [commit_at(again, name) for name in (release.commit.oid, release.digest)] == [None, None]
    _base, problems = find_base(
        again, Adapter(base_name="provider/bard", base_digest=release.digest, modules={}, parameters=1, tokens=0)
    )
    assert [problem.code for problem in problems] == ["no_base"]

    settings.UPLOAD_EXPIRES_S = 100
    add_text(again, provider, README__md=CARD, config__json="{}", LICENSE="b" * 700)
    assert publish(again, provider) == release
    assert commit_at(again, release.digest) == release.commit
    assert all(lie_there(*(file.blob for file in release.files.all())))


def test_a_suspension_that_is_lifted_shows_no_deleted_listing(
    published: Listing, provider: User, moderator: User, settings: Settings
) -> None:
    suspend_listing(listing=published, moderator=moderator, reason="a copy")
    delete_listing(listing=published, user=provider)
    lift_suspension(listing=published, moderator=moderator)
    assert not Listing.objects.public().exists()
    after_the_grace(settings)
    collect_unused()
    create_listing(organization=published.organization, user=provider, slug=published.slug, is_private=False)
    assert not Listing.objects.public().exists()


@pytest.mark.django_db(transaction=True)
def test_who_brings_it_back_while_it_is_collected_has_all_of_it_or_nothing(
    published: Listing, organization: Organization, provider: User, settings: Settings
) -> None:
    release = published.current_release
    assert release
    after_the_grace(settings)
    for _ in range(5):
        delete_listing(listing=Listing.objects.get(), user=provider)
        together = Barrier(2)

        def collect(together: Barrier = together) -> None:
            together.wait()
            collect_unused()
            connection.close()

        def bring_back(together: Barrier = together) -> Listing:
            together.wait()
            made = create_listing(organization=organization, user=provider, slug="bard")
            connection.close()
            return made

        with ThreadPoolExecutor(2) as pool:
            collected, back = pool.submit(collect), pool.submit(bring_back)
            collected.result()
            again = back.result()
        collect_unused()
        kept = lie_there(*(file.blob for file in release.files.all()))
        assert again.current_release is None or all(kept)
        settings.UPLOAD_EXPIRES_S = 100
        add_text(again, provider, README__md=CARD, config__json="{}", LICENSE="b" * 700)
        assert publish(again, provider) == release
        settings.UPLOAD_EXPIRES_S = -1
