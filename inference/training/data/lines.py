"""The lines of a file of any size, and of any line length, in flat memory."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from inference.training.data.records import BadData, Fault

MAX_LINE_BYTES: Final = 8 * 1024**2
BUFFER_BYTES: Final = 1024**2
UTF8_BOM: Final = codecs.BOM_UTF8
# UTF-32 first: its mark begins with that of UTF-16.
OTHER_BOMS: Final = (
    (codecs.BOM_UTF32_LE, "UTF-32"), (codecs.BOM_UTF32_BE, "UTF-32"), (codecs.BOM_UTF16_LE, "UTF-16"), (codecs.BOM_UTF16_BE, "UTF-16"),
)  # fmt: skip


class Line(NamedTuple):
    """``text`` is without its end of line. ``end`` is how many bytes of the file have been read after it."""

    number: int  # from 1
    text: str
    end: int


def read_lines(path: Path) -> Iterator[Line | Fault]:
    """Every line of a UTF-8 file; a Fault in the place of one that is too long or not UTF-8.

    Raises BadData where the file says that it has another encoding, and OSError.
    """
    number, begin = 0, 0
    with path.open("rb", buffering=BUFFER_BYTES) as file:
        check_encoding(file.read(4))
        file.seek(0)
        while raw := file.readline(MAX_LINE_BYTES):
            number += 1
            if len(raw) == MAX_LINE_BYTES and not raw.endswith(b"\n"):
                length = len(raw)
                while rest := file.readline(MAX_LINE_BYTES):
                    length += len(rest)
                    if rest.endswith(b"\n"):
                        break
                yield _too_long(number, length)
                begin += length
                continue
            yield _line(number, raw, begin)
            begin += len(raw)


def check_encoding(start: bytes) -> None:
    """Raises BadData where the first bytes are the mark of another encoding than UTF-8."""
    for mark, name in OTHER_BOMS:
        if start.startswith(mark):
            message = f"The file is {name} (it begins with {mark.hex(' ')}, at byte 0). Save it as UTF-8."
            raise BadData(Fault(1, "encoding", message))


def _line(number: int, raw: bytes, begin: int) -> Line | Fault:
    end = begin + len(raw)
    if number == 1:
        raw = raw.removeprefix(UTF8_BOM)
    try:
        return Line(number, raw.decode().rstrip("\r\n"), end)
    except UnicodeDecodeError as error:
        at = begin + error.start
        wrong = f"0x{raw[error.start]:02x}"
        return Fault(number, "encoding", f"Byte {at} of the file, {wrong}, is not UTF-8. Save the file as UTF-8.")


def _too_long(number: int, length: int) -> Fault:
    message = f"The line has {length} bytes; {MAX_LINE_BYTES} are the most. Is a line end missing?"
    return Fault(number, "too_long", message)
