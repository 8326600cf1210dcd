"""Sends files to the store by tus 1.0 (https://tus.io/protocols/resumable-upload): created, then sent, then gone on with after a failure."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import urljoin

import httpx2

from inference.errors import SendFailed
from inference.manifest import FileEntry

VERSION: Final = {"Tus-Resumable": "1.0.0"}
TIMEOUT_S: Final = 120.0  # of one answer: the store may read a whole file again before its last one
CHUNK_BYTES: Final = 1024 * 1024
TRIES: Final = 5
RETRY_S: Final = 1.0


def send_file(path: Path, entry: FileEntry, *, url: str, organization: str, token: str) -> None:
    """Gives a file to an organization under the name ``entry.path``; nothing is sent where it has that content already.

    Raises :class:`inference.errors.SendFailed`.
    """
    with httpx2.Client(timeout=TIMEOUT_S) as client:
        try:
            link, offset = _create(client, entry, url=url, organization=organization, token=token)
            for last in (number == TRIES - 1 for number in range(TRIES)):
                try:
                    if offset < entry.size:
                        _patch(client, link, path, offset)
                    return
                except httpx2.HTTPError:
                    if last:
                        raise
                    time.sleep(RETRY_S)
                    offset = _offset(client, link)
        except (httpx2.HTTPError, OSError) as error:
            raise SendFailed(f"{entry.path} could not be sent: {type(error).__name__}: {error}") from error


def _create(client: httpx2.Client, entry: FileEntry, *, url: str, organization: str, token: str) -> tuple[str, int]:
    """The link of a new upload, and how many bytes of it need not be sent."""
    fields = {"organization": organization, "filename": entry.path, "sha256": entry.sha256}
    metadata = ",".join(f"{name} {base64.b64encode(value.encode()).decode()}" for name, value in fields.items())
    headers = VERSION | {
        "Authorization": f"Bearer {token}",
        "Upload-Length": str(entry.size),
        "Upload-Metadata": metadata,
    }
    answer = client.post(url, headers=headers)
    _check(answer)
    return urljoin(url, answer.headers["Location"]), int(answer.headers.get("Upload-Offset", 0))


def _patch(client: httpx2.Client, link: str, path: Path, offset: int) -> None:
    headers = VERSION | {
        "Content-Type": "application/offset+octet-stream",
        "Upload-Offset": str(offset),
        "Content-Length": str(path.stat().st_size - offset),
    }
    _check(client.patch(link, headers=headers, content=_chunks(path, offset)))


def _offset(client: httpx2.Client, link: str) -> int:
    answer = client.head(link, headers=VERSION)
    _check(answer)
    return int(answer.headers["Upload-Offset"])


def _check(answer: httpx2.Response) -> None:
    """Raises :class:`SendFailed` for a refusal, which another try would not change, and HTTPError for the rest."""
    if 400 <= answer.status_code < 500 and answer.status_code not in (409, 423, 429):
        raise SendFailed(f"the store refuses a file with {answer.status_code}: {answer.text[:300]}")
    answer.raise_for_status()


def _chunks(path: Path, offset: int) -> Iterator[bytes]:
    with path.open("rb") as file:
        file.seek(offset)
        while chunk := file.read(CHUNK_BYTES):
            yield chunk
