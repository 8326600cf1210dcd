"""SHA-256 that is taken while bytes stream in, so that a finished file need not be read again.

It lives in this process's memory. What is lost with the process, or was written by another one, is read once at the end.
"""

from __future__ import annotations

import hashlib
import threading
import uuid
from collections import OrderedDict
from pathlib import Path
from typing import NamedTuple, Protocol

MOST = 4096  # uploads whose digest is kept; the one that was used least recently is forgotten
READ_BYTES = 1024 * 1024


class Digest(Protocol):
    """What hashlib makes."""

    def update(self, data: bytes, /) -> None: ...
    def digest(self) -> bytes: ...
    def hexdigest(self) -> str: ...
    def copy(self) -> Digest: ...


class Running(NamedTuple):
    """The digest of the first ``position`` bytes of an upload's stream."""

    digest: Digest
    position: int


_kept: OrderedDict[uuid.UUID, Running] = OrderedDict()
_changing = threading.Lock()


def known(upload_id: uuid.UUID) -> Running:
    """A copy of how far this process has come; of nothing where it has not begun."""
    with _changing:
        running = _kept.get(upload_id)
        return Running(running.digest.copy(), running.position) if running else Running(hashlib.sha256(), 0)


def keep(upload_id: uuid.UUID, running: Running) -> None:
    """Only for bytes of the stream that will not change any more."""
    with _changing:
        _kept[upload_id] = running
        _kept.move_to_end(upload_id)
        if len(_kept) > MOST:
            _kept.popitem(last=False)


def forget(upload_id: uuid.UUID) -> None:
    with _changing:
        _kept.pop(upload_id, None)


def digest_of(path: Path, running: Running | None = None) -> str:
    """The hex SHA-256 of a file; what ``running`` covers is not read. Raises OSError."""
    digest, position = running or Running(hashlib.sha256(), 0)
    with path.open("rb", buffering=0) as file:
        file.seek(position)
        while chunk := file.read(READ_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
