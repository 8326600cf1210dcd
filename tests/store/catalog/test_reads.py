from __future__ import annotations

import threading
from pathlib import Path

import pytest
from django.core.files.storage import default_storage
from django.db import connection

from store.accounts.models import Organization
from store.catalog.models import Listing, ListingStatus
from store.catalog.reads import BlobDamaged, callable_listing, release_folder
from tests.store.catalog.folders import write_folder
from tests.store.catalog.test_publish import publish


def test_a_published_listing_can_be_called_by_its_full_name(acme: Organization, folder: Path) -> None:
    release = publish(acme, folder)
    found = callable_listing("acme/tiny")
    assert found is not None
    assert (found.listing_id, found.name, found.organization_id) == (release.listing_id, "acme/tiny", acme.pk)
    assert (found.release_id, found.digest, found.context_length, found.size) == (
        release.pk,
        release.digest,
        64,
        release.size,
    )


@pytest.mark.parametrize("name", ["acme/other", "other/tiny", "tiny", "", "acme/tiny/x", "ACME/tiny"])
def test_another_name_finds_nothing(acme: Organization, folder: Path, name: str) -> None:
    publish(acme, folder)
    assert callable_listing(name) is None


@pytest.mark.parametrize(
    ("status", "is_callable"),
    [
        (ListingStatus.DRAFT, False),
        (ListingStatus.DEPRECATED, True),
        (ListingStatus.WITHDRAWN, False),
        (ListingStatus.SUSPENDED, False),
    ],
)
def test_what_can_be_called_depends_on_the_status(
    acme: Organization, folder: Path, status: str, is_callable: bool
) -> None:
    publish(acme, folder)
    Listing.objects.update(status=status)
    assert (callable_listing("acme/tiny") is not None) == is_callable


def test_the_folder_of_a_release_holds_everything_but_the_weights(acme: Organization, folder: Path) -> None:
    local = release_folder(publish(acme, folder).pk)
    names = {path.name for path in folder.iterdir()}
    assert {path.name for path in local.iterdir()} == names - {"model.safetensors"}
    assert (local / "tokenizer.json").read_bytes() == (folder / "tokenizer.json").read_bytes()


@pytest.mark.django_db(transaction=True)
def test_many_threads_that_want_the_folder_at_once_get_the_same_one(acme: Organization, tmp_path: Path) -> None:
    release = publish(acme, write_folder(tmp_path / "fresh", seed=77))
    found: list[Path] = []

    def run() -> None:
        found.append(release_folder(release.pk))
        connection.close()

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1
    assert [path.name for path in found[0].parent.iterdir() if path.name.startswith(found[0].name)] == [found[0].name]


def test_a_blob_that_rotted_in_the_storage_is_not_served(acme: Organization, tmp_path: Path) -> None:
    release = publish(acme, write_folder(tmp_path / "fresh", seed=78))
    config = Path(default_storage.path(release.files.get(path="config.json").blob.storage_name))
    whole = config.read_bytes()
    try:
        config.write_bytes(whole[:-1] + b" ")
        with pytest.raises(BlobDamaged):
            release_folder(release.pk)
    finally:
        config.write_bytes(whole)
    assert release_folder(release.pk).is_dir()
