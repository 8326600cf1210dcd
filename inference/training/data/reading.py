"""A file's records, one after the other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Final

from inference.training.data.formats import format_of, record_of
from inference.training.data.records import BadData, Container, DataFormat, Fault, Record
from inference.training.data.rows import Row, container_of, read_rows

LOOKED_AT: Final = 100  # rows, to find out which format they have
KNOWN: Final = (
    'Known are {"messages"} (dialogues), {"prompt", "completion"}, {"prompt", "chosen", "rejected"} or OpenAI\'s '
    '{"input", "preferred_output", "non_preferred_output"} (preferences), and {"text"}.'
)


def read_records(
    path: Path, *, filename: str = "", format: DataFormat | str = "", mapping: Mapping[str, str] | None = None
) -> Iterator[Record]:
    """The records in their order, which is always the same. ``filename`` tells the container, where ``path`` is named otherwise.

    ``format`` "" is found out. Raises BadData at the first line that is no record, and OSError.
    """
    for record in scan(path, filename=filename, format=format, mapping=mapping, ignored={}):
        if isinstance(record, Fault):
            raise BadData(record)
        yield record


def scan(
    path: Path,
    *,
    filename: str = "",
    format: DataFormat | str = "",
    mapping: Mapping[str, str] | None = None,
    ignored: dict[str, int],
) -> Iterator[Record | Fault]:
    """As ``read_records``, and goes on after a bad line. Raises BadData where the whole file cannot be read."""
    container = container_of(filename or path.name)
    form = DataFormat(format) if format else find_format(path, container, mapping or {})
    for row in read_rows(path, container, mapping or {}):
        yield row if isinstance(row, Fault) else record_of(row, form, ignored)


def find_format(path: Path, container: Container, mapping: Mapping[str, str]) -> DataFormat:
    """What the first row is that can be read. Raises BadData."""
    if container == Container.TEXT:
        return DataFormat.TEXT
    rows = list(islice(read_rows(path, container, mapping), LOOKED_AT))
    for row in rows:
        if isinstance(row, Row):
            form = format_of(row.values)
            if form:
                return form
    if not rows:
        raise BadData(Fault(0, "empty", "There is nothing in the file."))
    faults = [row for row in rows if isinstance(row, Fault)]
    if len(faults) == len(rows):
        raise BadData(faults[0])
    keys = next(row for row in rows if isinstance(row, Row)).values
    named = ", ".join(f"“{key}”" for key in list(keys)[:10])
    message = f"The records have {named or 'no keys'}. {KNOWN} Or say which column holds what."
    raise BadData(Fault(0, "format", message))
