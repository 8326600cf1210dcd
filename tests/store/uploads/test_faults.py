"""A disk that is full, a writer that is not alone, a process that dies."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from store.accounts.models import Organization
from store.uploads import digests, part_file, request
from store.uploads.errors import DiskFull
from store.uploads.models import Upload
from store.uploads.part_file import Held, Output
from tests.store.uploads.conftest import committed as db
from tests.store.uploads.test_tus import DATA, kept
from tests.store.uploads.tus_client import MB, TusClient, sha256

__all__ = ["db"]


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """The kernel refuses to let a file of this process grow further."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_a_disk_that_fills_up_loses_nothing(sender: TusClient, organization: Organization) -> None:
    link = sender.link("provider", len(DATA), sha256=sha256(DATA))
    with files_of_at_most(2 * MB + 1000):
        answer = sender.patch(link, 0, DATA)
    assert (answer.status_code, answer.json()["error"]["code"]) == (507, "disk_full")
    offset = sender.offset(link)
    assert MB <= offset <= 2 * MB + 1000
    assert sender.patch(link, offset, DATA[offset:]).status_code == 204
    assert kept(DATA)


def test_a_chunk_is_refused_before_it_is_read_where_it_has_no_room(
    sender: TusClient, organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = sender.link("provider", len(DATA))
    with monkeypatch.context() as full:
        full.setattr(part_file, "SPARE_BYTES", 1 << 60)
        assert sender.patch(link, 0, DATA).status_code == 507
        assert sender.http.put(link, content=DATA).status_code == 507
    assert sender.offset(link) == 0
    assert sender.patch(link, 0, DATA).status_code == 204


def test_a_batch_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    output = Output(tmp_path / "file")
    output.write([b"a" * 100])
    with files_of_at_most(150), pytest.raises(DiskFull):
        output.write([b"b" * 40, b"c" * 40])
    assert output.position == 100
    output.write([b"d"] * 200)
    assert (tmp_path / "file").read_bytes() == b"a" * 100 + b"d" * 200
    output.close()


def test_a_second_writer_is_locked_out(
    sender: TusClient, organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request, "LOCK_WAIT_S", 0.2)
    link = sender.link("provider", len(DATA))
    upload = Upload.objects.get()
    with Held(upload.pk) as right:
        assert not right.is_wanted
        answer = sender.patch(link, 0, DATA)
        assert (answer.status_code, answer.headers["Retry-After"]) == (423, "1")
        assert sender.head(link).status_code == 423
        assert sender.http.put(link, content=DATA).status_code == 423
        assert right.is_wanted
    assert sender.patch(link, 0, DATA).status_code == 204


def test_what_an_unverified_chunk_left_behind_does_not_count(sender: TusClient, organization: Organization) -> None:
    """As a process leaves it that dies in the middle of a chunk with a checksum."""
    link = sender.link("provider", len(DATA), sha256=sha256(DATA))
    sender.patch(link, 0, DATA[:MB])
    folder = part_file.folder_of(Upload.objects.get().pk)
    with (folder / part_file.STREAM).open("ab") as file:
        file.write(b"damaged")
    (folder / part_file.UNVERIFIED).write_text(str(MB))
    digests.forget(Upload.objects.get().pk)
    assert sender.offset(link) == MB
    assert sender.patch(link, MB, DATA[MB:]).status_code == 204
    assert kept(DATA)


def test_nothing_is_written_after_the_end(tmp_path: Path) -> None:
    output = Output(tmp_path / "file")
    os.unlink(tmp_path / "file")
    with pytest.raises(part_file.UploadGone):
        output.write([b"late"])
    output.close()
    with pytest.raises(part_file.UploadGone):
        output.write([b"later"])
