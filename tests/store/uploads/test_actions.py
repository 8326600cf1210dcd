"""What may be begun, and what becomes of what is not finished."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from django.core.files.storage import default_storage
from django.utils import timezone
from pytest_django import Settings

from store.accounts.models import Membership, Organization, Role, User
from store.catalog.models import Blob
from store.errors import Conflict, InvalidRequest, NotFound, PermissionDenied
from store.uploads import actions, part_file
from store.uploads.actions import (
    begin_upload,
    cancel_upload,
    conversion_file,
    finish_upload,
    reap_uploads,
    store_bytes,
)
from store.uploads.errors import DiskFull, FileRefused, TooLarge, TooManyUploads, UploadGone
from store.uploads.models import Upload, UploadStatus
from tests.store.uploads.conftest import use_of
from tests.store.uploads.tus_client import sha256


@pytest.fixture
def organization(provider: User) -> Organization:
    return provider.personal_organization


def begin(organization: Organization, **changes: Any) -> Upload:
    fields = {"user": None, "path": "model.safetensors", "size": 10, **changes}
    return begin_upload(organization=organization, **fields)


def arrive(upload: Upload, data: bytes) -> None:
    """As a client's chunk would have left it."""
    folder = part_file.folder_of(upload.pk)
    folder.mkdir(parents=True)
    (folder / part_file.STREAM).write_bytes(data)


@pytest.mark.parametrize(
    "path",
    ["../model.safetensors", "a/../../b.safetensors", "/etc/passwd", "mod\0el.safetensors", "😀.safetensors", "", ".",
     "x" * 300 + ".safetensors", "model.gguf", "run.py", "model.safetensors\n"],
)  # fmt: skip
def test_a_name_that_no_release_can_have_is_refused_before_a_byte(organization: Organization, path: str) -> None:
    with pytest.raises(FileRefused):
        begin(organization, path=path)
    with pytest.raises(FileRefused):
        store_bytes(organization=organization, user=None, path=path, data=b"text")
    assert not Upload.objects.exists()


@pytest.mark.parametrize("path", ["pytorch_model.bin", "fine_tuned_weights.pth", "model.pt", "model.PKL", "x.ckpt"])
def test_a_pickle_is_refused_with_the_way_to_convert_it(organization: Organization, path: str) -> None:
    with pytest.raises(FileRefused, match="onvert") as refused:
        begin(organization, path=path)
    assert refused.value.problem.code == "pickle"


def test_a_pickle_under_another_name_is_found_by_its_first_bytes(organization: Organization) -> None:
    pickle = b"\x80\x04\x95" + b"x" * 17
    upload = begin(organization, size=20)
    arrive(upload, pickle)
    with pytest.raises(FileRefused):
        finish_upload(upload_id=upload.pk)
    with pytest.raises(FileRefused):
        store_bytes(organization=organization, user=None, path="README.md", data=pickle)
    assert not Blob.objects.exists()
    assert use_of(organization) == (0, 0)


def test_a_pickle_to_be_converted_never_becomes_content(organization: Organization) -> None:
    upload = begin(organization, path="weights.pth", purpose="conversion")
    with pytest.raises(Conflict):
        conversion_file(upload)
    arrive(upload, b"0123456789")
    assert finish_upload(upload_id=upload.pk) is None
    assert not Blob.objects.exists()
    assert conversion_file(upload).read_bytes() == b"0123456789"
    assert finish_upload(upload_id=upload.pk) is None
    assert use_of(organization) == (0, 10)
    cancel_upload(upload=upload)
    assert use_of(organization) == (0, 0)
    with pytest.raises(Conflict):
        conversion_file(upload)


@pytest.mark.parametrize("path", ["model.safetensors", "README.md", "x.pkl", "../weights.pth", "weights.pth.zip"])
def test_only_pickled_state_dicts_are_converted(organization: Organization, path: str) -> None:
    with pytest.raises(FileRefused):
        begin(organization, path=path, purpose="conversion")


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"size": -1}, InvalidRequest),
        ({"size": 50 * 1024**3 + 1}, TooLarge),
        ({"sha256": "A" * 64}, InvalidRequest),
        ({"sha256": "abc"}, InvalidRequest),
        ({"part_size": 0}, InvalidRequest),
        ({"size": 10_001, "part_size": 1}, InvalidRequest),
    ],
)
def test_numbers_make_sense(organization: Organization, changes: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        begin(organization, **changes)


def test_who_may_send(organization: Organization, provider: User, stranger: User, consumer: User) -> None:
    assert begin(organization, user=provider)
    with pytest.raises(NotFound):
        begin(organization, user=stranger)
    Membership.objects.create(organization=organization, user=consumer, role=Role.BILLING)
    with pytest.raises(PermissionDenied):
        begin(organization, user=consumer)
    with pytest.raises(PermissionDenied):
        store_bytes(organization=organization, user=consumer, path="README.md", data=b"hello")


def test_an_organization_begins_only_so_many(organization: Organization, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(actions, "MAX_UNFINISHED", 2)
    first = begin(organization)
    begin(organization)
    with pytest.raises(TooManyUploads):
        begin(organization)
    cancel_upload(upload=first)
    assert begin(organization)


def test_a_small_file_is_content_at_once(organization: Organization) -> None:
    blob = store_bytes(organization=organization, user=None, path="README.md", data=b"# Bard")
    assert blob.sha256 == sha256(b"# Bard")
    assert store_bytes(organization=organization, user=None, path="NOTICE", data=b"# Bard") == blob
    assert use_of(organization) == (6, 0)


def test_an_expired_upload_is_deleted_and_its_reservation_given_back(organization: Organization, files: Path) -> None:
    old, new = begin(organization), begin(organization)
    arrive(old, b"01234")
    Upload.objects.filter(pk=old.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    assert reap_uploads() == 1
    assert reap_uploads() == 0
    assert use_of(organization) == (0, 10)
    assert not part_file.folder_of(old.pk).exists()
    with pytest.raises(UploadGone):
        finish_upload(upload_id=old.pk)
    new.refresh_from_db()
    assert new.status == UploadStatus.OPEN


def test_an_expired_conversion_is_deleted(organization: Organization) -> None:
    upload = begin(organization, path="weights.pth", purpose="conversion")
    arrive(upload, b"0123456789")
    finish_upload(upload_id=upload.pk)
    Upload.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert reap_uploads() == 1
    assert not part_file.folder_of(upload.pk).exists()
    assert use_of(organization) == (0, 0)


def test_rows_of_what_ended_go_after_a_while(organization: Organization, settings: Settings) -> None:
    ended, alive = begin(organization), begin(organization)
    cancel_upload(upload=ended)
    Upload.objects.filter(pk=ended.pk).update(
        expires_at=timezone.now() - timedelta(seconds=settings.UPLOAD_EXPIRES_S + 1)
    )
    reap_uploads()
    assert list(Upload.objects.all()) == [alive]


def test_a_folder_without_an_upload_is_swept_away(
    organization: Organization, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(actions, "ORPHAN_S", -1.0)
    alive = begin(organization)
    arrive(alive, b"01")
    orphan = files / "uploads" / ("0" * 32)
    orphan.mkdir()
    reap_uploads()
    assert not orphan.exists()
    assert part_file.folder_of(alive.pk).exists()


def test_no_upload_begins_on_a_full_disk(organization: Organization, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(part_file, "SPARE_BYTES", 1 << 60)
    with pytest.raises(DiskFull):
        begin(organization)
    with pytest.raises(DiskFull):
        store_bytes(organization=organization, user=None, path="README.md", data=b"text")


def test_what_was_broken_off_while_it_was_put_away_is_done_again(organization: Organization) -> None:
    """The process dies after the promise was kept and before, or after, the file is in its place."""
    for data in (b"0123456789", b"9876543210"):
        upload = begin(organization)
        arrive(upload, data)
        Upload.objects.filter(pk=upload.pk).update(status=UploadStatus.FINISHING, sha256=sha256(data))
        if data == b"9876543210":
            store_bytes(organization=organization, user=None, path="NOTICE", data=data)
            part_file.remove(upload.pk)
        blob = finish_upload(upload_id=upload.pk)
        assert blob
        assert blob.sha256 == sha256(data)
    assert use_of(organization) == (20, 0)


def test_content_goes_to_a_storage_that_is_no_folder(organization: Organization, settings: Settings) -> None:
    """As to S3."""
    settings.STORAGES = {
        **settings.STORAGES,
        "default": {"BACKEND": "django.core.files.storage.InMemoryStorage"},
    }
    for data in (b"0123456789", b"9876543210", b"0123456789"):
        upload = begin(organization)
        arrive(upload, data)
        blob = finish_upload(upload_id=upload.pk)
        assert blob
        with default_storage.open(blob.storage_name) as file:
            assert file.read() == data
        assert not part_file.folder_of(upload.pk).exists()
    store_bytes(organization=organization, user=None, path="README.md", data=b"text")
    assert use_of(organization) == (24, 0)


def test_content_goes_to_another_disk(organization: Organization, settings: Settings, tmp_path: Path) -> None:
    with TemporaryDirectory(dir="/dev/shm") as other:
        options = {"location": other}
        backend = "django.core.files.storage.FileSystemStorage"
        settings.STORAGES = {**settings.STORAGES, "default": {"BACKEND": backend, "OPTIONS": options}}
        upload = begin(organization)
        arrive(upload, b"0123456789")
        assert os.stat(other).st_dev != tmp_path.stat().st_dev
        blob = finish_upload(upload_id=upload.pk)
        assert blob
        assert (Path(other) / blob.storage_name).read_bytes() == b"0123456789"
        assert not part_file.folder_of(upload.pk).exists()
