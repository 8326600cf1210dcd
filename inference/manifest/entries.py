"""What a release is made of, and what is said of a file that cannot be in one. Standard library only."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

HASH_CHUNK_BYTES: Final = 1024 * 1024
SNIFF_BYTES: Final = 512


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One file of a release. ``sha256`` is 64 lower-case hex digits, ``size`` is in bytes."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a file, or the whole folder (path ""), is refused. ``message`` says what is wrong and how to mend it."""

    path: str
    code: str
    message: str


def release_document(files: Iterable[FileEntry]) -> bytes:
    """The text that a release's digest is taken over. Raises :class:`ValueError` on a path twice or a malformed entry."""
    entries = sorted(files, key=lambda entry: entry.path.encode())
    if len({entry.path for entry in entries}) != len(entries):
        raise ValueError("a path is in the release twice")
    for entry in entries:
        if "\n" in entry.path or not re.fullmatch(r"[0-9a-f]{64}", entry.sha256) or entry.size < 0:
            raise ValueError(f"malformed entry for {entry.path!r}")
    lines = [f"{entry.sha256} {entry.size} {entry.path}\n" for entry in entries]
    return "".join(["gpt-store release 1\n", *lines]).encode()


def release_digest(files: Iterable[FileEntry]) -> str:
    """``"sha256:<64 hex>"`` over every file of a release, in any order. Raises :class:`ValueError`."""
    return f"sha256:{hashlib.sha256(release_document(files)).hexdigest()}"


def hash_file(path: Path, *, name: str | None = None) -> FileEntry:
    """Reads the whole file. Raises :class:`OSError`."""
    with path.open("rb") as file:
        return hash_rest(file, b"", name=name or path.name)


def hash_rest(file: BinaryIO, start: bytes, *, name: str) -> FileEntry:
    """Hashes a file of which ``start`` has been read already, so that each byte is read once. Raises :class:`OSError`."""
    digest, size = hashlib.sha256(start), len(start)
    while chunk := file.read(HASH_CHUNK_BYTES):
        digest.update(chunk)
        size += len(chunk)
    return FileEntry(path=name, size=size, sha256=digest.hexdigest())
