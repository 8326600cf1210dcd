"""Where the bytes of an upload lie while it is under way, and who may write them: ``DATA_DIR/uploads/<id>/``.

``stream`` grows by tus chunks and is never changed before its end, so a digest that was taken on the way stays true. ``whole`` is
one PUT's, ``parts`` that of numbered parts, ``content`` that of a finished conversion. ``unverified`` says where a chunk with a
checksum began: until it is verified, what follows does not count. ``wanted`` is touched by whom the lock kept out.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import IO

from django.conf import settings

from store.uploads.errors import DiskFull, UploadGone, UploadLocked

STREAM, WHOLE, PARTS, CONTENT = "stream", "whole", "parts", "content"
UNVERIFIED, WANTED = "unverified", "wanted"
SPARE_BYTES = 256 * 1024**2  # what uploads leave free on the disk, for all else that writes there
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def root() -> Path:
    """The folder of all uploads."""
    return Path(settings.DATA_DIR) / "uploads"


def folder_of(upload_id: uuid.UUID) -> Path:
    return root() / upload_id.hex


def remove(upload_id: uuid.UUID) -> None:
    """Deletes what has arrived. A writer that is at it notices and stops."""
    shutil.rmtree(folder_of(upload_id), ignore_errors=True)


def check_room(size: int) -> None:
    """Raises DiskFull where the disk has no room for so many bytes."""
    root().mkdir(parents=True, exist_ok=True)
    if shutil.disk_usage(root()).free < size + SPARE_BYTES:
        raise DiskFull


def stream_length(upload_id: uuid.UUID) -> int:
    """How many bytes of the stream have arrived and count."""
    folder = folder_of(upload_id)
    try:
        length = (folder / STREAM).stat().st_size
    except FileNotFoundError:
        return 0
    try:
        return min(length, int((folder / UNVERIFIED).read_text()))
    except FileNotFoundError:
        return length


class Held:
    """The right to write to an upload: alone, or shared by the writers of its parts. It ends with the process at the latest."""

    def __init__(self, upload_id: uuid.UUID, *, shared: bool = False) -> None:
        """Raises UploadLocked at once where somebody else has it, or deletes the folder at this moment."""
        self.folder = folder_of(upload_id)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            raise UploadLocked from None
        try:
            fcntl.flock(self._descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._descriptor)
            with suppress(FileNotFoundError):
                (self.folder / WANTED).touch()
            raise UploadLocked from None
        (self.folder / WANTED).unlink(missing_ok=True)

    @property
    def is_wanted(self) -> bool:
        """Whether somebody else asked for it since."""
        return (self.folder / WANTED).exists()

    def release(self) -> None:
        os.close(self._descriptor)

    def __enter__(self) -> Held:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


@contextmanager
def held(upload_id: uuid.UUID, *, wait_s: float) -> Iterator[Held]:
    """The right to write alone, waited for. Raises UploadLocked."""
    until = time.monotonic() + wait_s
    while True:
        try:
            right = Held(upload_id)
            break
        except UploadLocked:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)
    with right:
        yield right


class Output:
    """A file that grows or is filled at places. Nothing is written after ``close``, however late a thread comes to it."""

    def __init__(self, path: Path, *, begin: int = 0) -> None:
        self._file: IO[bytes] = open(os.open(path, os.O_RDWR | os.O_CREAT, 0o644), "r+b", buffering=0)  # noqa: SIM115
        self._closing = threading.Lock()
        self.position = begin  # where the next bytes go

    def write(self, chunks: Sequence[bytes]) -> None:
        """Writes all or nothing. Raises DiskFull, UploadGone (the file was deleted) and OSError."""
        with self._closing:
            if self._file.closed or not os.fstat(self._file.fileno()).st_nlink:
                raise UploadGone
            begin = self.position
            try:
                self._write(chunks)
            except OSError as error:
                self.position = begin
                if error.errno in NO_ROOM:
                    raise DiskFull from error
                raise

    def _write(self, chunks: Sequence[bytes]) -> None:
        written = os.pwritev(self._file.fileno(), chunks, self.position)
        self.position += written
        if written == sum(map(len, chunks)):
            return
        left = memoryview(b"".join(chunks))[written:]  # rare: a signal, or a disk that is almost full
        while left:
            written = os.pwrite(self._file.fileno(), left, self.position)
            self.position, left = self.position + written, left[written:]

    def end_at(self, size: int) -> None:
        """Cuts the file to ``size``, and goes on there."""
        with self._closing:
            if not self._file.closed:
                self._file.truncate(size)
                self.position = size

    def close(self) -> None:
        with self._closing:
            self._file.close()
