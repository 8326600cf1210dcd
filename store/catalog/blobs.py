"""The bytes of files, in the default storage under their SHA-256: written once, never changed."""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Callable
from pathlib import Path

from django.core.files import File
from django.core.files.storage import FileSystemStorage, default_storage

from inference.manifest import FileEntry
from store.catalog.models import Blob
from store.errors import Conflict

CHUNK_BYTES = 1024 * 1024


class FileChanged(Conflict):
    """A file is not what it was when it was inspected."""

    code = "file_changed"
    default_message = "A file changed while it was being read."


def store_blob(entry: FileEntry, source: Path, *, on_bytes: Callable[[int], None]) -> None:
    """Keeps the content of ``source``; at once where it is kept already. Raises FileChanged and OSError. Not inside a transaction."""
    name = Blob(sha256=entry.sha256).storage_name
    if default_storage.exists(name) and default_storage.size(name) == entry.size:
        on_bytes(entry.size)
    elif isinstance(default_storage, FileSystemStorage):
        _write_file(entry, source, Path(default_storage.path(name)), on_bytes)
    else:
        with source.open("rb") as file:
            default_storage.save(name, File(file))
        if default_storage.size(name) != entry.size:
            raise FileChanged(f"{entry.path} changed while it was being uploaded.")
        on_bytes(entry.size)


def _write_file(entry: FileEntry, source: Path, target: Path, on_bytes: Callable[[int], None]) -> None:
    """Writes beside the target and renames, so that a file under its final name is whole, whoever dies or writes at the same time."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f"{target.name}.{secrets.token_hex(4)}.partial")
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
