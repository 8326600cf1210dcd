"""Files of training data on the disk of the test."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import default_storage
from pytest_django import Settings

from store.accounts.models import Organization, User
from store.catalog.models import Blob, Listing, Release
from store.tuning.actions.files import add_file, run_reading
from store.tuning.models import DataFile
from store.uploads import part_file
from store.uploads.actions import begin_upload, finish_upload
from store.uploads.models import Purpose, Upload
from tests.store.catalog.folders import write_folder

USER, ANSWER = {"role": "user", "content": "Who's there?"}, {"role": "assistant", "content": "Nay, answer me."}
CHAT = {"messages": [USER, ANSWER]}


@pytest.fixture(autouse=True)
def files(settings: Settings, tmp_path: Path) -> Path:
    """Where the bytes of this test lie: ``uploads`` and ``files``."""
    settings.DATA_DIR = tmp_path
    default = {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": tmp_path / "files"}}
    settings.STORAGES = {**settings.STORAGES, "default": default}
    return tmp_path


def lines(*rows: Any) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def sent(organization: Organization, name: str, content: bytes, user: User | None = None) -> Upload:
    """An upload of purpose "data" that is done."""
    upload = begin_upload(organization=organization, user=user, path=name, size=len(content), purpose=Purpose.DATA)
    folder = part_file.folder_of(upload.pk)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / part_file.STREAM).write_bytes(content)
    finish_upload(upload_id=upload.pk)
    upload.refresh_from_db()
    return upload


@pytest.fixture
def organization(consumer: User) -> Organization:
    return consumer.personal_organization


@pytest.fixture
def add(organization: Organization) -> Callable[..., DataFile]:
    """Adds a file of these bytes, and has it read."""

    def added(content: bytes = lines(CHAT), name: str = "data.jsonl", **description: Any) -> DataFile:
        file = add_file(upload=sent(organization, name, content), user=None, **description)
        run_reading(file.pk)
        file.refresh_from_db()
        return file

    return added


@pytest.fixture
def base(listing: Listing, tmp_path: Path) -> Release:
    """A release with a real tokenizer and no chat template, whose files lie in the storage."""
    folder = write_folder(tmp_path / "base")
    for item in folder.iterdir():
        content = item.read_bytes()
        sha256 = hashlib.sha256(content).hexdigest()
        blob, _new = Blob.objects.get_or_create(sha256=sha256, defaults={"size": len(content)})
        path = Path(default_storage.path(blob.storage_name))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        listing.current_release.files.create(path=item.name, blob=blob)
    return listing.current_release
