"""The body of a commit: newline-separated JSON, one operation a line, read a line at a time so that it never is in memory whole."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from inference.manifest import MAX_FILES
from store.errors import InvalidRequest
from store.hub.rendering import text_of

MAX_REGULAR_BYTES = 10 * 1024 * 1024  # of a file inside of the commit's body
MAX_LINE_BYTES = MAX_REGULAR_BYTES * 4 // 3 + 64 * 1024
MAX_LINES = 4 * MAX_FILES


class Lines(Protocol):
    """A request's body."""

    def readline(self, size: int = -1, /) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Header:
    """What a commit says."""

    title: str
    description: str
    parent: str  # "": whatever the branch is at


@dataclass(frozen=True, slots=True)
class RegularFile:
    """A file whose content is here."""

    path: str
    data: bytes


@dataclass(frozen=True, slots=True)
class LargeFile:
    """A file whose content was sent before."""

    path: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Deletion:
    """A file, or a folder where ``path`` ends with a slash."""

    path: str


Operation = Header | RegularFile | LargeFile | Deletion


def read_operations(body: Lines) -> Iterator[Operation]:
    """Each operation, in order. Raises InvalidRequest."""
    for number in range(1, MAX_LINES + 2):
        line = body.readline(MAX_LINE_BYTES + 1)
        if not line:
            return
        if len(line) > MAX_LINE_BYTES:
            raise InvalidRequest(f"Line {number} is too long: send files of more than 10 MB by Git LFS.")
        if line.strip():
            yield _read(line, number)
    raise InvalidRequest(f"A commit has {MAX_LINES} operations at most.")


def _read(line: bytes, number: int) -> Operation:
    try:
        said = json.loads(line)
        key, value = said["key"], said["value"]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise InvalidRequest(f'Line {number} is not {{"key": …, "value": …}}.') from None
    if not isinstance(value, dict):
        raise InvalidRequest(f"`value` of line {number} is not an object.")
    match key:
        case "header":
            return Header(text_of(value, "summary"), text_of(value, "description"), text_of(value, "parentCommit"))
        case "file":
            return RegularFile(text_of(value, "path"), _content(value, number))
        case "lfsFile":
            return LargeFile(text_of(value, "path"), text_of(value, "oid"))
        case "deletedFile" | "deletedEntry":
            return Deletion(text_of(value, "path"))
        case "deletedFolder":
            return Deletion(text_of(value, "path").rstrip("/") + "/")
    raise InvalidRequest(f"Line {number} asks for {str(key)[:50]!r}, which this store does not know.")


def _content(value: dict[str, Any], number: int) -> bytes:
    content = value.get("content")
    if not isinstance(content, str):
        raise InvalidRequest(f"`content` of line {number} is not a text.")
    if value.get("encoding", "utf-8") != "base64":
        return content.encode()
    try:
        return base64.b64decode(content, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidRequest(f"`content` of line {number} is not base64.") from None
