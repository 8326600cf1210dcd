"""multipart/form-data (RFC 7578) as it comes: fields are kept, the file is handed on in pieces. Nothing of it is spooled."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from enum import Enum, auto

from django.utils.http import parse_header_parameters

from store.errors import InvalidRequest
from store.uploads.errors import BadHeader

MAX_HEAD_BYTES = 16 * 1024  # of a part's headers
MAX_FIELD_BYTES = 64 * 1024
MAX_FIELDS = 100
BOUNDARY = re.compile(r"[\x21-\x7e][\x20-\x7e]{0,68}[\x21-\x7e]|[\x21-\x7e]")  # RFC 2046, and what clients make


class _At(Enum):
    BODY = auto()
    LINE_END = auto()  # after a boundary
    HEAD = auto()
    END = auto()


def boundary_of(content_type: str) -> bytes:
    """Raises BadHeader."""
    kind, parameters = parse_header_parameters(content_type)
    boundary = parameters.get("boundary", "")
    if kind != "multipart/form-data" or not BOUNDARY.fullmatch(boundary):
        raise BadHeader("The Content-Type is multipart/form-data, with its boundary.", param="Content-Type")
    return boundary.encode()


class Form:
    """A form that is fed. ``fields`` by name; ``filename`` is that of the file in the field ``file_field``, None before it came."""

    def __init__(self, boundary: bytes, *, file_field: str, write: Callable[[Sequence[bytes]], None]) -> None:
        self.fields: dict[str, str] = {}
        self.filename: str | None = None
        self.size = 0  # bytes of the file so far
        self._file_field, self._write = file_field, write
        self._delimiter = b"\r\n--" + boundary
        self._buffer = b"\r\n"  # the first boundary has no line before it
        self._at = _At.BODY
        self._name: str | None = None  # of the field that is being read; None: nothing is kept of it
        self._value = b""
        self._is_file = False

    @property
    def is_whole(self) -> bool:
        return self._at is _At.END

    def feed(self, chunks: Sequence[bytes]) -> None:
        """Raises InvalidRequest for what is no form, and what ``write`` raises."""
        self._buffer += b"".join(chunks)
        while self._step():
            pass

    def _step(self) -> bool:
        """Whether there may be more in the buffer."""
        match self._at:
            case _At.BODY:
                return self._read_body()
            case _At.LINE_END:
                return self._read_line_end()
            case _At.HEAD:
                return self._read_head()
        self._buffer = b""
        return False

    def _read_body(self) -> bool:
        at = self._buffer.find(self._delimiter)
        if at < 0:
            kept = len(self._delimiter) - 1
            self._take(self._buffer[:-kept])
            self._buffer = self._buffer[-kept:]
            return False
        self._take(self._buffer[:at])
        self._close_field()
        self._buffer = self._buffer[at + len(self._delimiter) :]
        self._at = _At.LINE_END
        return True

    def _read_line_end(self) -> bool:
        if len(self._buffer) < 2:
            return False
        if self._buffer.startswith(b"--"):
            self._at = _At.END
            return True
        end = self._buffer.find(b"\r\n")
        if end < 0 or self._buffer[:end].strip(b" \t"):
            if end >= 0 or len(self._buffer) > MAX_HEAD_BYTES:
                raise InvalidRequest("The form is malformed after a boundary.")
            return False
        self._buffer = self._buffer[end:]  # with its line end, so that a part without headers is seen
        self._at = _At.HEAD
        return True

    def _read_head(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(self._buffer) > MAX_HEAD_BYTES:
                raise InvalidRequest("A part of the form has too many headers.")
            return False
        self._open_field(self._buffer[:end].decode("utf-8", "replace"))
        self._buffer = self._buffer[end + 4 :]
        self._at = _At.BODY
        return True

    def _open_field(self, head: str) -> None:
        said = [line.partition(":") for line in head.split("\r\n")]
        found = {name.strip().lower(): value.strip() for name, _colon, value in said}
        kind, parameters = parse_header_parameters(found.get("content-disposition", ""))
        name = parameters.get("name", "")
        if kind != "form-data" or not name or len(self.fields) >= MAX_FIELDS:
            raise InvalidRequest("A part of the form has no name, or there are too many of them.")
        self._name, self._value, self._is_file = name, b"", "filename" in parameters
        if self._is_file:
            if name != self._file_field or self.filename is not None:
                raise InvalidRequest(f"The form has one file, in the field {self._file_field!r}.", param=name[:50])
            self.filename = parameters["filename"].replace("\\", "/").rpartition("/")[2]

    def _take(self, data: bytes) -> None:
        if self._name is None or not data:
            return
        if self._is_file:
            self.size += len(data)
            self._write([data])
            return
        self._value += data
        if len(self._value) > MAX_FIELD_BYTES:
            raise InvalidRequest("A field of the form is too long.", param=self._name[:50])

    def _close_field(self) -> None:
        if self._name is not None and not self._is_file:
            try:
                self.fields[self._name] = self._value.decode()
            except UnicodeDecodeError:
                raise InvalidRequest("A field of the form is not UTF-8.", param=self._name[:50]) from None
        self._name = None
