"""An import: who may start it, what can be named, one at a time, and how a worker has it in hand."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest
from django.db import connection
from django.utils import timezone
from pytest_django import Settings

from store.accounts.models import User
from store.catalog.actions import NotInThisState, cancel_import, start_import
from store.catalog.actions.imports import (
    begin_import,
    due_imports,
    fail_import,
    finish_import,
    keep_imported,
    note_progress,
    reserve_import,
)
from store.catalog.actions.repositories import create_listing, delete_listing
from store.catalog.blobs import store_data
from store.catalog.models import ImportJob, ImportStatus, Listing
from store.catalog.storage import QuotaExceeded, reserve, storage_use
from store.errors import InvalidRequest, NotFound
from tests.store.catalog.drafts import make_draft
from tests.store.uploads.conftest import files, use_of
from tests.store.uploads.tus_client import sha256

__all__ = ["files"]

pytestmark = pytest.mark.django_db
S = ImportStatus
RACERS = 20
ONE, TWO = b"1" * 100, b"2" * 300
CONTENTS = {sha256(ONE): 100, sha256(TWO): 300, "README.md": 10}  # of small files the other Hub says no digest


@pytest.fixture
def draft(provider: User) -> Listing:
    return make_draft(provider)


def start(listing: Listing, user: User, repo_id: str = "openai-community/gpt2", revision: str = "main") -> ImportJob:
    return start_import(listing=listing, user=user, repo_id=repo_id, revision=revision)


def test_an_import_waits_for_a_worker(draft: Listing, provider: User) -> None:
    job = start(draft, provider)
    assert (job.status, job.endpoint, due_imports()) == (S.QUEUED, "https://huggingface.co", [job.pk])


@pytest.mark.parametrize(
    "repo_id", ["", "gpt2", "a/b/c", "../etc", "a/..", "http://x/y", "a b/c", "a/b\0", "-a/b", "a/" + "b" * 97]
)
def test_a_model_is_named_as_on_its_hub(draft: Listing, provider: User, repo_id: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        start(draft, provider, repo_id)
    assert refused.value.param == "repo_id"


@pytest.mark.parametrize("revision", ["", "..", "a..b", "a b", "\0", "x" * 101])
def test_a_revision_is_one(draft: Listing, provider: User, revision: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        start(draft, provider, revision=revision)
    assert refused.value.param == "revision"


def test_a_stranger_finds_no_listing_to_import_into(draft: Listing, provider: User, stranger: User) -> None:
    with pytest.raises(NotFound):
        start(draft, stranger)
    with pytest.raises(NotFound):
        cancel_import(job=start(draft, provider), user=stranger)


def test_the_same_import_again_is_the_same_job_and_another_waits_its_turn(draft: Listing, provider: User) -> None:
    job = start(draft, provider)
    assert start(draft, provider) == job
    with pytest.raises(NotInThisState, match="openai-community/gpt2"):
        start(draft, provider, "openai-community/gpt2-large")
    cancel_import(job=job, user=provider)
    assert start(draft, provider, "openai-community/gpt2-large") != job


def test_a_job_is_in_one_workers_hand_until_its_lease_ends(draft: Listing, provider: User) -> None:
    job = start(draft, provider)
    first = begin_import(job.pk)
    assert first is not None
    assert (first.status, begin_import(job.pk), due_imports()) == (S.RUNNING, None, [])
    ImportJob.objects.update(due_at=timezone.now() - timedelta(seconds=1))
    second = begin_import(job.pk)
    assert second is not None
    assert (note_progress(first, done_bytes=1), note_progress(second, done_bytes=2)) == (False, True)


def test_a_cancelled_import_hears_no_more(draft: Listing, provider: User) -> None:
    job = begin_import(start(draft, provider).pk)
    assert job is not None
    cancelled = cancel_import(job=job, user=provider)
    assert cancel_import(job=job, user=provider).ended_at == cancelled.ended_at
    fail_import(job, "Too late.")
    with pytest.raises(NotInThisState):
        finish_import(job, draft.commits.latest("id"))
    assert ImportJob.objects.get().status == S.CANCELLED


def test_an_import_that_has_ended_cannot_be_cancelled(draft: Listing, provider: User) -> None:
    job = begin_import(start(draft, provider).pk)
    assert job is not None
    finish_import(job, draft.commits.latest("id"))
    with pytest.raises(NotInThisState):
        cancel_import(job=job, user=provider)


def test_an_import_that_is_cut_off_five_times_fails(draft: Listing, provider: User) -> None:
    job = start(draft, provider)
    ImportJob.objects.update(attempts=5)
    assert begin_import(job.pk) is None
    job.refresh_from_db()
    assert (job.status, "5 times" in job.error) == (S.FAILED, True)


@pytest.fixture
def running(draft: Listing, provider: User) -> ImportJob:
    """An import of 410 bytes whose room is set aside."""
    job = begin_import(start(draft, provider).pk)
    assert job is not None
    reserve_import(job, CONTENTS)
    return job


def keep(job: ImportJob, data: bytes) -> None:
    store_data(sha256(data), data)
    keep_imported(job, sha256=sha256(data), size=len(data))


def test_room_is_set_aside_and_used_up_by_what_was_fetched(running: ImportJob) -> None:
    organization = running.listing.organization
    used, reserved = use_of(organization)
    assert reserved == 410
    keep(running, ONE)
    assert use_of(organization) == (used + 100, 310)
    keep(running, ONE)  # a worker died in between: the next one brings all of it again
    assert use_of(organization) == (used + 100, 310)
    again = ImportJob.objects.get()
    reserve_import(again, CONTENTS)
    assert use_of(organization) == (used + 100, 310)
    keep(running, TWO)
    finish_import(running, running.listing.commits.latest("id"))
    assert use_of(organization) == (used + 400, 0)
    assert ImportJob.objects.get().reserved_bytes == 0


def test_what_the_organization_has_takes_no_room(running: ImportJob, provider: User) -> None:
    keep(running, TWO)
    fail_import(running, "The other Hub has gone.")
    job = begin_import(start(running.listing, provider).pk)
    assert job is not None
    reserve_import(job, CONTENTS)
    assert use_of(job.listing.organization)[1] == 110


@pytest.mark.parametrize("end", ["cancel", "fail", "delete"])
def test_what_was_set_aside_is_free_again_once(running: ImportJob, provider: User, end: str) -> None:
    organization = running.listing.organization
    for _ in range(2):
        if end == "cancel":
            cancel_import(job=running, user=provider)
        elif end == "fail":
            fail_import(running, "The other Hub has gone.")
        elif running.listing.deleted_at is None:
            delete_listing(listing=running.listing, user=provider)
            running.listing.refresh_from_db()
    assert use_of(organization)[1] == 0
    for late in (lambda: reserve_import(running, CONTENTS), lambda: keep(running, ONE)):
        with pytest.raises(NotInThisState, match="cancelled"):
            late()
    assert use_of(organization)[1] == 0


def test_more_than_the_other_hub_had_said_asks_the_quota(running: ImportJob) -> None:
    organization = running.listing.organization
    use = storage_use(organization)
    reserve(organization, use.limit_bytes - use.used_bytes - use.reserved_bytes)
    with pytest.raises(QuotaExceeded):
        keep(running, b"3" * 411)
    assert use_of(organization)[1] == use.limit_bytes - use.used_bytes


@pytest.mark.django_db(transaction=True)
def test_twenty_imports_at_once_do_not_exceed_the_quota(provider: User, settings: Settings) -> None:
    settings.STORAGE_LIMIT_BYTES = 1000
    organization = provider.personal_organization
    listings = [create_listing(organization=organization, user=provider, slug=f"model-{n}") for n in range(RACERS)]
    jobs = [begin_import(start(listing, provider).pk) for listing in listings]
    together = Barrier(RACERS)

    def race(number: int) -> ImportJob | None:
        job = jobs[number]
        assert job is not None
        together.wait()
        try:
            reserve_import(job, {f"{number:064x}": 150 + number % 2})
            return job
        except QuotaExceeded:
            return None
        finally:
            connection.close()

    with ThreadPoolExecutor(RACERS) as pool:
        going = [job for job in pool.map(race, range(RACERS)) if job]
    assert len(going) == 6
    assert 900 <= use_of(organization)[1] <= 1000
    for job in going:
        cancel_import(job=job, user=provider)
    assert use_of(organization) == (0, 0)
