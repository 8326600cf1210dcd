"""What an organization may keep: equal content once, and never more than its limit, whoever comes at the same time."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import connection
from django.utils import timezone
from pytest_django import Settings

from store.accounts.models import Organization, User
from store.catalog.blobs import store_data
from store.catalog.models import (
    Blob,
    Commit,
    CommitFile,
    Listing,
    OrganizationBlob,
    Release,
    ReleaseFile,
    StorageUse,
    Weights,
)
from store.catalog.storage import (
    ContentMissing,
    LimitTooLow,
    QuotaExceeded,
    collect_unused,
    has_blobs,
    keep_blob,
    reserve,
    set_limit,
    storage_use,
    unreserve,
)
from store.uploads.actions import begin_upload, cancel_upload, store_bytes
from store.uploads.models import Upload
from tests.conftest import make_listing
from tests.store.uploads.conftest import use_of
from tests.store.uploads.tus_client import sha256

RACERS = 20


@pytest.fixture
def organization(provider: User, settings: Settings) -> Organization:
    settings.STORAGE_LIMIT_BYTES = 1000
    return provider.personal_organization


def test_an_organization_begins_with_the_limit_of_the_settings(organization: Organization) -> None:
    assert storage_use(organization).limit_bytes == 1000


def test_what_is_reserved_can_be_used_by_nobody_else(organization: Organization) -> None:
    reserve(organization, 600)
    with pytest.raises(QuotaExceeded, match="may keep"):
        reserve(organization, 401)
    unreserve(organization, 600)
    reserve(organization, 1000)
    with pytest.raises(QuotaExceeded):
        store_bytes(organization=organization, user=None, path="README.md", data=b"x")


@pytest.mark.django_db(transaction=True)
def test_twenty_uploads_at_once_do_not_exceed_the_quota(organization: Organization) -> None:
    barrier = Barrier(RACERS)

    def race(number: int) -> Upload | None:
        barrier.wait()
        try:
            return begin_upload(organization=organization, user=None, path="model.safetensors", size=150 + number % 2)
        except QuotaExceeded:
            return None
        finally:
            connection.close()

    with ThreadPoolExecutor(RACERS) as pool:
        begun = [upload for upload in pool.map(race, range(RACERS)) if upload]
    assert len(begun) == 6
    assert use_of(organization) == (0, sum(upload.size for upload in begun))
    for upload in begun:
        cancel_upload(upload=upload)
        cancel_upload(upload=upload)
    assert use_of(organization) == (0, 0)


@pytest.mark.django_db(transaction=True)
def test_twenty_at_once_that_bring_the_same_content_count_once(organization: Organization) -> None:
    barrier = Barrier(RACERS)

    def race(_number: int) -> str:
        barrier.wait()
        try:
            return store_bytes(organization=organization, user=None, path="README.md", data=b"x" * 40).sha256
        finally:
            connection.close()

    with ThreadPoolExecutor(RACERS) as pool:
        assert set(pool.map(race, range(RACERS))) == {sha256(b"x" * 40)}
    assert use_of(organization) == (40, 0)
    assert OrganizationBlob.objects.count() == Blob.objects.count() == 1


def test_equal_content_of_two_organizations_counts_for_both_and_lies_there_once(
    organization: Organization, consumer: User
) -> None:
    other = consumer.personal_organization
    for owner in (organization, other, other):
        store_bytes(organization=owner, user=None, path="README.md", data=b"text")
    assert use_of(organization) == use_of(other) == (4, 0)
    assert Blob.objects.count() == 1


def test_content_that_is_not_in_the_storage_is_not_believed(organization: Organization) -> None:
    with pytest.raises(ContentMissing):
        keep_blob(organization=organization, sha256=sha256(b"x"), size=1, reserved=0)
    assert not Blob.objects.exists()


def test_content_without_a_reservation_asks_the_quota(organization: Organization) -> None:
    store_data(sha256(b"x" * 1001), b"x" * 1001)
    with pytest.raises(QuotaExceeded):
        keep_blob(organization=organization, sha256=sha256(b"x" * 1001), size=1001, reserved=0)
    assert not OrganizationBlob.objects.exists()


def test_a_limit_is_not_set_below_what_is_on_its_way(organization: Organization) -> None:
    store_bytes(organization=organization, user=None, path="README.md", data=b"x" * 100)
    reserve(organization, 100)
    with pytest.raises(LimitTooLow):
        set_limit(organization=organization, limit_bytes=199)
    set_limit(organization=organization, limit_bytes=200)
    unreserve(organization, 100)
    set_limit(organization=organization, limit_bytes=50)
    with pytest.raises(QuotaExceeded):
        reserve(organization, 1)
    assert StorageUse.objects.get().limit_bytes == 50


def release_with(listing: Listing, blob: Blob) -> None:
    """The listing's current release has this file."""
    assert listing.current_release
    ReleaseFile.objects.create(release=listing.current_release, path="README.md", blob=blob)


def test_what_need_not_be_sent(organization: Organization, consumer: User, listing: Listing) -> None:
    own = store_bytes(organization=organization, user=None, path="README.md", data=b"own")
    theirs = consumer.personal_organization
    assert has_blobs(organization, [own.sha256, "0" * 64]) == {own.sha256}
    assert has_blobs(theirs, [own.sha256]) == set()
    release_with(listing, own)
    assert has_blobs(theirs, [own.sha256]) == set()
    Listing.objects.filter(pk=listing.pk).update(weights=Weights.OPEN)
    assert has_blobs(theirs, [own.sha256]) == {own.sha256}
    Listing.objects.filter(pk=listing.pk).update(is_private=True)
    assert has_blobs(theirs, [own.sha256]) == set()


def make_old(settings: Settings) -> None:
    """As if all content had come before UPLOAD_EXPIRES_S."""
    settings.UPLOAD_EXPIRES_S = 100
    OrganizationBlob.objects.update(created_at=timezone.now() - timedelta(seconds=101))


def test_content_that_nobody_uses_is_forgotten(
    organization: Organization, settings: Settings, listing: Listing
) -> None:
    unused, committed, released = (
        store_bytes(organization=organization, user=None, path="README.md", data=data) for data in (b"1", b"22", b"333")
    )
    commit = Commit.objects.create(listing=listing, oid="0" * 40, digest="", title="", size=2)
    CommitFile.objects.create(commit=commit, path="README.md", blob=committed)
    release_with(listing, released)
    assert collect_unused() == 0
    settings.UPLOAD_EXPIRES_S = -1
    assert collect_unused() == 1
    assert set(Blob.objects.all()) == {committed, released}
    assert not default_storage.exists(unused.storage_name)
    assert default_storage.exists(committed.storage_name)
    assert use_of(organization) == (5, 0)
    assert collect_unused() == 0


def test_a_file_that_no_row_knows_is_deleted_once_it_is_old(organization: Organization, settings: Settings) -> None:
    """A process died, or was refused, between putting content into the storage and writing it down."""
    known = store_bytes(organization=organization, user=None, path="README.md", data=b"known")
    store_data(sha256(b"unknown"), b"unknown")
    name = Blob(sha256=sha256(b"unknown")).storage_name
    half = default_storage.save(f"{name}.1234.partial", ContentFile(b"unk"))
    collect_unused()
    assert default_storage.exists(name)
    for path in (name, half, known.storage_name):
        os.utime(default_storage.path(path), (0, 0))
    collect_unused()
    assert [default_storage.exists(path) for path in (name, half, known.storage_name)] == [False, False, True]


def test_who_was_told_that_nothing_need_be_sent_has_time_to_commit(
    organization: Organization, settings: Settings
) -> None:
    blob = store_bytes(organization=organization, user=None, path="README.md", data=b"text")
    make_old(settings)
    assert has_blobs(organization, [blob.sha256]) == {blob.sha256}
    assert collect_unused() == 0
    make_old(settings)
    collect_unused()
    assert has_blobs(organization, [blob.sha256]) == set()
    assert use_of(organization) == (0, 0)


def test_content_that_another_organization_uses_stays(
    organization: Organization, consumer: User, settings: Settings
) -> None:
    theirs = make_listing(consumer.personal_organization, "other")
    for owner in (organization, consumer.personal_organization):
        blob = store_bytes(organization=owner, user=None, path="README.md", data=b"text")
    release_with(theirs, blob)
    settings.UPLOAD_EXPIRES_S = -1
    assert collect_unused() == 0
    assert use_of(organization) == (0, 0)
    assert use_of(consumer.personal_organization) == (4, 0)
    assert Release.objects.get(listing=theirs).files.get().blob == blob
