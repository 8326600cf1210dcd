"""Listings that were published before repositories were there get one."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from django.apps import apps
from django.db import connection

from store.accounts.models import Organization
from store.catalog.actions import publish_folder
from store.catalog.actions.repositories import commit_at, files_at
from store.catalog.models import Commit, CommitFile, Listing, OrganizationBlob, Ref, Release, StorageUse
from tests.store.catalog.conftest import PRICE
from tests.store.catalog.folders import write_folder

first_commits = import_module("store.catalog.migrations.0005_first_commits").first_commits


def test_each_release_has_a_commit_and_main_is_the_current_one(acme: Organization, tmp_path: Path) -> None:
    made = [
        publish_folder(
            organization=acme, user=None, folder=write_folder(tmp_path / str(seed), seed=seed), slug="tiny", price=PRICE
        )
        for seed in (1, 2)
    ]
    _forget_repositories()
    first_commits(apps, None)
    listing = Listing.objects.get()
    head = commit_at(listing, "main")
    assert head is not None
    assert head.digest == made[1].digest
    for release in made:
        commit = commit_at(listing, release.digest)
        assert commit is not None
        wanted = {(file.path, file.blob_id) for file in release.files.all()}
        assert {(file.path, file.sha256) for file in files_at(commit)} == wanted
    held = OrganizationBlob.objects.filter(organization=acme).select_related("blob")
    assert StorageUse.objects.get().used_bytes == sum(row.blob.size for row in held) > 0
    first_commits(apps, None)
    assert Commit.objects.count() == 2


def _forget_repositories() -> None:
    """As the rows were before: releases and their files, and nothing else."""
    with connection.cursor() as cursor:
        # Without the trigger by which a release never changes.
        cursor.execute("SET LOCAL session_replication_role = replica")
        Release.objects.update(commit=None)
        cursor.execute("SET LOCAL session_replication_role = origin")
    Ref.objects.all().delete()
    CommitFile.objects.all().delete()
    Commit.objects.update(parent=None)
    Commit.objects.all().delete()
    OrganizationBlob.objects.all().delete()
    StorageUse.objects.all().delete()
