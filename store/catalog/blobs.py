"""The bytes of files, in the default storage under their SHA-256: written once, never changed."""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
from collections.abc import Callable
from pathlib import Path

from django.core.files import File
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage, default_storage

from inference.manifest import FileEntry
from store.catalog.models import Blob
from store.errors import Conflict

CHUNK_BYTES = 1024 * 1024


class FileChanged(Conflict):
    """A file is not what it was when it was inspected."""

    code = "file_changed"
    default_message = "A file changed while it was being read."


def is_stored(sha256: str, size: int) -> bool:
    """Whether the storage has this content whole."""
    name = Blob(sha256=sha256).storage_name
    return default_storage.exists(name) and default_storage.size(name) == size


def store_blob(entry: FileEntry, source: Path, *, on_bytes: Callable[[int], None]) -> None:
    """Keeps the content of ``source``; at once where it is kept already. Raises FileChanged and OSError. Not inside a transaction."""
    name = Blob(sha256=entry.sha256).storage_name
    if is_stored(entry.sha256, entry.size):
        if isinstance(default_storage, FileSystemStorage):
            os.utime(default_storage.path(name))  # young again: ``storage.collect_unused`` leaves it alone
        on_bytes(entry.size)
    elif isinstance(default_storage, FileSystemStorage):
        _write_file(entry, source, Path(default_storage.path(name)), on_bytes)
    else:
        with source.open("rb") as file:
            default_storage.save(name, File(file))
        if default_storage.size(name) != entry.size:
            raise FileChanged(f"{entry.path} changed while it was being uploaded.")
        on_bytes(entry.size)


def take_file(entry: FileEntry, source: Path) -> None:
    """Keeps the content of ``source``, whose digest the caller has found to be the entry's; the file is gone afterwards.

    On the same disk it is renamed, however large it is. Raises FileChanged and OSError. Not inside a transaction.
    """
    if isinstance(default_storage, FileSystemStorage):
        target = Path(default_storage.path(Blob(sha256=entry.sha256).storage_name))
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            _sync(source)
            source.replace(target)
            _sync(target.parent)
            return
        except OSError as error:
            if error.errno != errno.EXDEV:  # the files lie on another disk than the uploads
                raise
    store_blob(entry, source, on_bytes=lambda _size: None)
    source.unlink()


def store_data(sha256: str, data: bytes) -> None:
    """Keeps a small content that is in memory; ``sha256`` is its digest. Raises OSError. Not inside a transaction."""
    name = Blob(sha256=sha256).storage_name
    if not isinstance(default_storage, FileSystemStorage):
        if not is_stored(sha256, len(data)):
            default_storage.save(name, ContentFile(data))
        return
    target = Path(default_storage.path(name))
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = _partial(target)
    try:
        with partial.open("xb") as out:
            out.write(data)
            out.flush()
            os.fsync(out.fileno())
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def _partial(target: Path) -> Path:
    """A name beside the target: a file under its final name is whole, whoever dies or writes at the same time."""
    return target.with_name(f"{target.name}.{secrets.token_hex(4)}.partial")


def _write_file(entry: FileEntry, source: Path, target: Path, on_bytes: Callable[[int], None]) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = _partial(target)
    digest = hashlib.sha256()
    try:
        with source.open("rb") as file, partial.open("xb") as out:
            while chunk := file.read(CHUNK_BYTES):
                digest.update(chunk)
                out.write(chunk)
                on_bytes(len(chunk))
            out.flush()
            os.fsync(out.fileno())
        if digest.hexdigest() != entry.sha256:
            raise FileChanged(f"{entry.path} changed while it was being read.")
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    """Brings a file, or what a folder lists, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
