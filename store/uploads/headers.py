"""The headers of tus: lengths and offsets, ``Upload-Metadata``, ``Upload-Checksum``."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass

from store.uploads.errors import BadHeader
from store.uploads.models import Purpose

KEYS = ("organization", "filename", "sha256", "purpose")
DIGITS = 18  # of a number of bytes
ALGORITHMS = {"sha256": 32, "sha1": 20}  # bytes of each; tus asks for the second


@dataclass(frozen=True, kw_only=True, slots=True)
class NewFile:
    """A file that a client wants to send for an organization; ``sha256`` is "" where it does not know it yet."""

    organization: str
    filename: str
    size: int  # bytes
    sha256: str
    purpose: Purpose


def read_number(name: str, value: str) -> int:
    """The value of the header of this name. Raises BadHeader."""
    if not (value.isascii() and value.isdigit() and len(value) <= DIGITS):
        raise BadHeader(f"{name} is missing, or not a number of bytes.", param=name)
    return int(value)


def read_new_file(headers: Mapping[str, str]) -> NewFile:
    """Raises BadHeader."""
    size = read_number("Upload-Length", headers.get("Upload-Length", ""))
    said = read_metadata(headers.get("Upload-Metadata", ""))
    missing = [key for key in ("organization", "filename") if not said.get(key)]
    purpose = said.get("purpose") or Purpose.FILE
    if missing or purpose not in Purpose.values:
        wrong = missing[0] if missing else "purpose"
        raise BadHeader(f"Upload-Metadata has no good {wrong!r}.", param="Upload-Metadata")
    return NewFile(
        organization=said["organization"], filename=said["filename"], size=size, sha256=said.get("sha256", ""),
        purpose=Purpose(purpose),
    )  # fmt: skip


def read_metadata(header: str) -> dict[str, str]:
    """``key base64, key base64``; keys that nobody here asks for are ignored. Raises BadHeader."""
    said: dict[str, str] = {}
    for pair in filter(None, (pair.strip() for pair in header.split(","))):
        key, _space, encoded = pair.partition(" ")
        try:
            value = base64.b64decode(encoded, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            raise BadHeader(
                f"{key[:40]!r} of Upload-Metadata is no base64 of a text.", param="Upload-Metadata"
            ) from None
        if key in KEYS:
            said[key] = value
    return said


@dataclass(frozen=True, slots=True)
class Checksum:
    """What a client says that a chunk's bytes are."""

    algorithm: str
    expected: bytes


def read_checksum(header: str) -> Checksum | None:
    """``Upload-Checksum: sha256 <base64>``; None where there is none. Raises BadHeader."""
    if not header:
        return None
    algorithm, _space, encoded = header.partition(" ")
    try:
        expected = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        expected = b""
    if ALGORITHMS.get(algorithm) != len(expected):
        raise BadHeader(f"Upload-Checksum is one of {', '.join(ALGORITHMS)}, and its base64.", param="Upload-Checksum")
    return Checksum(algorithm, expected)
