"""The Range header (RFC 9110, section 14) for one range of bytes."""

from __future__ import annotations

import re

from store.errors import StoreError

BYTES = re.compile(r"bytes=(\d{0,19})-(\d{0,19})")


class RangeNotSatisfiable(StoreError):
    """The range lies outside of the file."""

    code = "range_not_satisfiable"
    status = 416
    default_message = "The range lies outside of the file."


def read_range(header: str, size: int) -> tuple[int, int] | None:
    """First byte and the one after the last, or None for the whole file: a header that we do not know is ignored, as the RFC asks.

    Raises RangeNotSatisfiable.
    """
    found = BYTES.fullmatch(header.replace(" ", ""))
    if not found or found[1] == found[2] == "":
        return None
    first, last = found[1], found[2]
    if not first:  # the last n bytes
        begin, end = max(0, size - int(last)), size
    else:
        begin, end = int(first), min(size, int(last) + 1) if last else size
        if last and int(last) < int(first):
            return None
    if begin >= size or begin >= end:
        raise RangeNotSatisfiable
    return begin, end
