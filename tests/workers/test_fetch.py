"""A model of another Hub, which is a store like ours: fetched, committed; refused, cancelled, cut off and gone on with."""

from __future__ import annotations

import hashlib
import json
import os
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from django.db import connection
from django.utils import timezone
from pytest_django import Settings

from store.catalog.actions import cancel_import, start_import
from store.catalog.actions.commits import AddFile
from store.catalog.actions.repositories import commit_files, create_listing
from store.catalog.blobs import store_data
from store.catalog.models import Commit, ImportJob, ImportStatus, Listing, Release, StorageUse
from store.catalog.storage import keep_blob, storage_use
from tests.servers import Servers
from tests.store.catalog.folders import write_folder
from tests.store.hub.conftest import Hub, db, hub
from tests.waiting import PATIENCE_S, await_that
from tests.workers.throttle import Throttle
from workers.fetch import folder_of, import_model

__all__ = ["db", "hub"]

ROOT = Path(__file__).resolve().parents[2]
S = ImportStatus
SLOW = 4_000_000  # bytes a second
FIRST, SECOND = 4_000_000, 28_000_000  # bytes of two shards; the client writes a file in pieces of 10 MB


@pytest.fixture(autouse=True)
def other_hub(hub: Hub, settings: Settings) -> None:
    settings.IMPORT_ENDPOINT = hub.url
    settings.IMPORT_TOKEN = hub.token(hub.provider)


@pytest.fixture
def slow_hub(hub: Hub, settings: Settings) -> Iterator[Throttle]:
    throttle = Throttle(hub.url, bytes_per_s=SLOW)
    settings.IMPORT_ENDPOINT = throttle.url
    yield throttle
    throttle.close()


def draft(hub: Hub, slug: str) -> Listing:
    """A listing to import into."""
    return create_listing(organization=hub.provider.personal_organization, user=hub.provider, slug=slug)


def started(hub: Hub, slug: str, repo_id: str, revision: str = "main") -> ImportJob:
    return start_import(listing=draft(hub, slug), user=hub.provider, repo_id=repo_id, revision=revision)


def done(job: ImportJob) -> ImportJob:
    import_model(job.pk)
    job.refresh_from_db()
    return job


def weights(size: int) -> bytes:
    header = json.dumps({f"w{size}": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}}).encode()
    return struct.pack("<Q", len(header)) + header + os.urandom(size)


def publish_large(hub: Hub, folder: Path, slug: str) -> None:
    """A repository with a file that takes a moment, and one that takes a while."""
    listing = create_listing(organization=hub.acme, user=hub.provider, slug=slug)
    files = {
        "model-00001-of-00002.safetensors": weights(FIRST),
        "model-00002-of-00002.safetensors": weights(SECOND),
        "README.md": b"# Large\n",
    }
    changes = []
    for path, data in files.items():
        sha256 = hashlib.sha256(data).hexdigest()
        store_data(sha256, data)
        keep_blob(organization=hub.acme, sha256=sha256, size=len(data), reserved=0)
        changes.append(AddFile(path, sha256))
    commit_files(listing=listing, user=hub.provider, changes=changes, title="Large")


@pytest.fixture(autouse=True, scope="module")
def fetched(hub: Hub, tmp_path_factory: pytest.TempPathFactory) -> Release:
    """``acme/fetched``, which is there to be fetched."""
    return hub.publish(write_folder(tmp_path_factory.mktemp("fetched") / "tiny"), "fetched")


def test_a_model_is_fetched_and_becomes_the_state_of_main(hub: Hub, fetched: Release) -> None:
    job = done(started(hub, "fetched", "acme/fetched"))
    assert (job.status, job.error) == (S.SUCCEEDED, "")
    assert job.commit is not None
    assert job.commit.digest == fetched.digest
    assert (job.done_bytes, job.total_bytes) == (fetched.size, fetched.size)
    assert fetched.commit is not None
    assert job.resolved == fetched.commit.oid
    assert job.listing.refs.get(name="main").commit == job.commit
    assert storage_use(job.listing.organization).reserved_bytes == 0
    assert not folder_of(job.pk).exists()


def test_what_main_had_before_goes(hub: Hub, tmp_path: Path) -> None:
    release = hub.publish(write_folder(tmp_path / "tiny", seed=5), "replacing")
    first = done(started(hub, "replaced", "acme/fetched")).listing
    job = done(start_import(listing=first, user=hub.provider, repo_id="acme/replacing"))
    assert job.commit is not None
    assert job.commit.digest == release.digest


def test_an_import_that_is_delivered_twice_commits_once(hub: Hub) -> None:
    job = done(started(hub, "twice", "acme/fetched"))
    commits = Commit.objects.count()
    assert done(job).status == S.SUCCEEDED
    assert Commit.objects.count() == commits


@pytest.mark.parametrize(
    ("repo_id", "revision", "sentence"),
    [
        ("acme/nothing", "main", "There is no acme/nothing there"),
        ("acme/fetched", "nothing", "acme/fetched has no revision nothing"),
    ],
)
def test_what_is_not_there_is_said_so(hub: Hub, repo_id: str, revision: str, sentence: str) -> None:
    job = done(started(hub, f"missing-{revision}", repo_id, revision))
    assert (job.status, job.commit) == (S.FAILED, None)
    assert sentence in job.error


def test_a_model_without_safetensors_is_refused(hub: Hub) -> None:
    listing = create_listing(organization=hub.acme, user=hub.provider, slug="words")
    data = b"# Words only\n"
    sha256 = hashlib.sha256(data).hexdigest()
    store_data(sha256, data)
    keep_blob(organization=hub.acme, sha256=sha256, size=len(data), reserved=0)
    commit_files(listing=listing, user=hub.provider, changes=[AddFile("README.md", sha256)], title="Words")
    job = done(started(hub, "words", "acme/words"))
    assert job.status == S.FAILED
    assert "has no safetensors" in job.error


def test_what_does_not_fit_is_not_fetched(hub: Hub, tmp_path: Path) -> None:
    hub.publish(write_folder(tmp_path / "tiny", seed=6), "larger")
    use = storage_use(hub.provider.personal_organization)
    StorageUse.objects.filter(pk=use.pk).update(limit_bytes=use.used_bytes + 1)
    try:
        job = done(started(hub, "full", "acme/larger"))
    finally:
        StorageUse.objects.filter(pk=use.pk).update(limit_bytes=use.limit_bytes)
    assert job.status == S.FAILED
    assert "provider may keep" in job.error
    assert storage_use(hub.provider.personal_organization).reserved_bytes == 0
    assert not folder_of(job.pk).exists()


def test_an_import_can_be_cancelled_in_the_middle(hub: Hub, tmp_path: Path, slow_hub: Throttle) -> None:
    publish_large(hub, tmp_path / "large", "cancelled")
    job = started(hub, "cancelled", "acme/cancelled")
    commits = Commit.objects.count()
    worker = threading.Thread(target=_in_thread, args=(job.pk,))
    worker.start()
    await_that(lambda: ImportJob.objects.get(pk=job.pk).done_bytes > 0, "some bytes have come")
    cancel_import(job=job, user=hub.provider)
    worker.join(PATIENCE_S)
    assert not worker.is_alive()
    job.refresh_from_db()
    assert (job.status, job.commit, Commit.objects.count()) == (S.CANCELLED, None, commits)
    assert storage_use(job.listing.organization).reserved_bytes == 0
    assert not folder_of(job.pk).exists()


def _in_thread(job_id: int) -> None:
    try:
        import_model(job_id)
    finally:
        connection.close()


@pytest.mark.fault
def test_the_next_worker_goes_on_where_a_killed_one_was_cut_off(
    hub: Hub, tmp_path: Path, slow_hub: Throttle, servers: Servers
) -> None:
    publish_large(hub, tmp_path / "large", "killed")
    job = started(hub, "killed", "acme/killed")
    database = psycopg.conninfo.make_conninfo(servers.database_url, dbname=connection.settings_dict["NAME"])
    code = f"import workers.cpu, workers.fetch; workers.fetch.import_model({job.pk})"
    environment = {**os.environ, "DATABASE_URL": database, "IMPORT_TOKEN": hub.token(hub.provider)}
    worker = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, env=environment)
    await_that(
        lambda: ImportJob.objects.get(pk=job.pk).done_bytes > 2 * FIRST,
        "one file is there, of the other a part",
        timeout_s=90,
    )
    worker.kill()
    worker.wait()
    assert ImportJob.objects.get(pk=job.pk).status == S.RUNNING
    ImportJob.objects.update(due_at=timezone.now())  # its lease ends
    before, slow_hub.bytes_per_s = slow_hub.passed, 10**9
    assert done(job).status == S.SUCCEEDED
    assert (job.attempts, job.done_bytes) == (2, job.total_bytes)
    assert slow_hub.passed - before < FIRST + SECOND  # the client begins a file anew, and none that had arrived
