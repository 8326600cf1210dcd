from __future__ import annotations

import hashlib
import threading
from pathlib import Path

import pytest
from django.core.files.storage import default_storage
from django.db import connection

from store.accounts.models import Organization
from store.catalog.blobs import store_data
from store.catalog.models import Blob, Listing, ListingStatus, Release, ReleaseFile
from store.catalog.reads import BlobDamaged, callable_listing, release_folder
from store.hub.tokens import read_release_token
from store.runs.offers import release_ref
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


def make_adapter(base: Release, files: dict[str, bytes]) -> Release:
    """A release on ``base`` with these small files; the current one of ``acme/adapter``."""
    listing = Listing.objects.create(
        organization=base.listing.organization, slug="adapter", title="Adapter", licence="apache-2.0",
        status=ListingStatus.PUBLISHED,
    )  # fmt: skip
    release = Release.objects.create(
        listing=listing, number=1, digest=f"sha256:{7:064x}", size=99, architecture=base.architecture, parameters=1,
        context_length=base.context_length, vocab_size=base.vocab_size, base=base,
    )  # fmt: skip
    for path, data in files.items():
        sha256 = hashlib.sha256(data).hexdigest()
        store_data(sha256, data)
        ReleaseFile.objects.create(release=release, path=path, blob=Blob.objects.create(sha256=sha256, size=len(data)))
    Listing.objects.filter(pk=listing.pk).update(current_release=release)
    return release


def test_an_adapter_can_be_called_and_says_what_it_is_served_on(acme: Organization, folder: Path) -> None:
    base = publish(acme, folder)
    make_adapter(base, {"adapter_config.json": b"{}"})
    found = callable_listing("acme/adapter")
    assert found is not None
    assert (found.base_release_id, found.base_digest, found.base_name, found.base_size) == (
        base.pk, base.digest, "acme/tiny", base.size,
    )  # fmt: skip
    whole = callable_listing("acme/tiny")
    assert whole is not None
    assert (whole.base_release_id, whole.base_digest) == (0, "")
    ref = release_ref(found, 0)
    assert ref.base is not None
    assert (ref.base.digest, ref.base.repo_id, ref.total_size) == (base.digest, "acme/tiny", 99 + base.size)
    assert (read_release_token(ref.token), read_release_token(ref.base.token)) == (found.release_id, base.pk)


def test_the_folder_of_an_adapter_has_the_files_of_its_base_where_it_brings_none(
    acme: Organization, folder: Path
) -> None:
    base = publish(acme, folder)
    own = {"adapter_config.json": b"{}", "README.md": b"# Mine", "config.json": b'{"vocab_size": 1}'}
    release = make_adapter(base, own | {"adapter_model.safetensors": b"weights", "assets/plot.png": b"a picture"})
    local = release_folder(release.pk)
    names = {path.name for path in folder.iterdir()}
    assert {path.name for path in local.iterdir()} == names - {"model.safetensors"} | {"adapter_config.json"}
    assert (local / "README.md").read_bytes() == b"# Mine"
    assert (local / "config.json").read_bytes() == (folder / "config.json").read_bytes()
    assert (local / "tokenizer.json").read_bytes() == (folder / "tokenizer.json").read_bytes()
