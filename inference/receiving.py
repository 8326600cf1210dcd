"""Fetches single files from the store: GET with a token, and nothing is believed before its SHA-256 is right."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Final

import httpx2

from inference.errors import PullFailed

ANSWER_S: Final = 60.0  # for the next bytes
GONE: Final = (401, 403, 404, 409, 410)


class Unwanted(Exception):
    """It was stopped in the middle."""


def is_wanted(url: str, *, token: str) -> bool:
    """Whether the store still gives out what is fetched from there. Only a refusal says that it does not: a store that is away may come back."""
    try:
        with httpx2.stream("GET", url, headers={"Authorization": f"Bearer {token}"}, timeout=ANSWER_S) as answer:
            return answer.status_code not in GONE
    except httpx2.HTTPError:
        return True


def receive_file(
    target: Path, *, url: str, token: str, sha256: str, size: int | None, is_stopped: Callable[[], bool]
) -> None:
    """Writes a new file; ``size`` in bytes, None where only the hash is known.

    Raises :class:`inference.errors.PullFailed` (the store is away, refuses, or gives another file), :class:`Unwanted`, and
    :class:`OSError` where it cannot be written.
    """
    digest, got = hashlib.sha256(), 0
    try:
        with (
            httpx2.stream("GET", url, headers={"Authorization": f"Bearer {token}"}, timeout=ANSWER_S) as answer,
            target.open("xb") as out,
        ):
            answer.raise_for_status()
            for chunk in answer.iter_bytes():
                got += len(chunk)
                if is_stopped():
                    raise Unwanted
                if size is not None and got > size:
                    break
                digest.update(chunk)
                out.write(chunk)
    except httpx2.HTTPError as error:
        raise PullFailed(f"{target.name} could not be fetched: {type(error).__name__}: {error}") from error
    if digest.hexdigest() != sha256 or (size is not None and got != size):
        raise PullFailed(f"{target.name} is not the file that was promised")
