"""The rows of a file, whatever it is written as: each a dict of its columns or keys. Flat memory, always the same order."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple, NoReturn

import pyarrow
from pyarrow import parquet

from inference.training.data.lines import MAX_LINE_BYTES, read_lines
from inference.training.data.records import BadData, Container, Fault

SUFFIXES: Final = {
    ".jsonl": Container.JSONL, ".ndjson": Container.JSONL, ".json": Container.JSONL, ".csv": Container.CSV, ".tsv": Container.CSV,
    ".parquet": Container.PARQUET, ".txt": Container.TEXT, ".text": Container.TEXT, ".md": Container.TEXT,
}  # fmt: skip
DELIMITERS: Final = ",;\t|"
BATCH_ROWS: Final = 256  # of a Parquet file, that are in memory at once
PIECE_CHARS: Final = 16_384  # of a running text
NAMED_COLUMNS: Final = 20  # in a message


class Row(NamedTuple):
    """``end``: how far into the file it reaches: bytes of a text, rows of a Parquet file."""

    line: int
    values: dict[str, Any]
    end: int


def container_of(filename: str) -> Container:
    """By the end of the name. Raises BadData."""
    for suffix, container in SUFFIXES.items():
        if filename.lower().endswith(suffix):
            return container
    message = f"The name ends with none of {', '.join(SUFFIXES)}. Name the file for what it is."
    raise BadData(Fault(0, "container", message))


def read_rows(path: Path, container: Container, mapping: Mapping[str, str]) -> Iterator[Row | Fault]:
    """``mapping`` names, for fields of a record, the columns they are found in. Raises BadData (the whole file) and OSError."""
    return READERS[container](path, mapping)


def columns_of(path: Path, container: Container) -> list[str]:
    """The columns of a CSV or Parquet file; [] of others. Raises BadData and OSError."""
    if container == Container.CSV:
        header = next(_csv_header(path), None)
        return header.names if header else []
    return list(_opened(path).schema_arrow.names) if container == Container.PARQUET else []


def length_of(path: Path, container: Container) -> int:
    """What ``Row.end`` is at the last row. Raises BadData and OSError."""
    if container == Container.PARQUET:
        return int(_opened(path).metadata.num_rows)
    return path.stat().st_size


def _read_jsonl(path: Path, mapping: Mapping[str, str]) -> Iterator[Row | Fault]:
    for line in read_lines(path):
        if isinstance(line, Fault):
            yield line
        elif line.text.strip():
            yield _parsed(line.number, line.text, line.end, mapping)


def _parsed(number: int, text: str, end: int, mapping: Mapping[str, str]) -> Row | Fault:
    try:
        value = json.loads(text, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        found = f"{error.msg} at character {error.pos + 1}"
        return Fault(number, "json", f'Not JSON: {found}. Each line is one object, such as {{"messages": […]}}.')
    except RecursionError:
        return Fault(number, "json", "The JSON is nested too deeply.")
    except ValueError as error:
        return Fault(number, "json", f"Not JSON: {str(error)[:200]}.")
    if not isinstance(value, dict):
        return Fault(number, "not_an_object", "A line is one JSON object, in braces.")
    return Row(number, _renamed(value, mapping), end)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no value of JSON")


def _renamed(value: dict[str, Any], mapping: Mapping[str, str]) -> dict[str, Any]:
    if not mapping:
        return value
    taken = set(mapping.values())
    found = {field: value[column] for field, column in mapping.items() if column in value}
    return {key: item for key, item in value.items() if key not in taken and key not in found} | found


class _Header(NamedTuple):
    names: list[str]
    delimiter: str


def _csv_header(path: Path) -> Iterator[_Header]:
    """The first row, or nothing of an empty file. Raises BadData."""
    for line in read_lines(path):
        if isinstance(line, Fault):
            raise BadData(line)
        delimiter = max(DELIMITERS, key=line.text.count)
        names = [name.strip() for name in next(csv.reader([line.text], delimiter=delimiter), [])]
        if len(set(names)) < len(names) or not all(names):
            message = "The first line names the columns: each has a name, and no two the same one."
            raise BadData(Fault(line.number, "columns", message))
        yield _Header(names, delimiter)
        return


def _read_csv(path: Path, mapping: Mapping[str, str]) -> Iterator[Row | Fault]:
    header = next(_csv_header(path), None)
    if header is None:
        return
    check_mapping(mapping, header.names)
    csv.field_size_limit(MAX_LINE_BYTES)
    faults: list[Fault] = []
    end = 0

    def texts() -> Iterator[str]:
        nonlocal end
        for line in read_lines(path):
            if isinstance(line, Fault):
                faults.append(line)
                continue
            end = line.end
            yield line.text + "\n"

    reader = csv.reader(texts(), delimiter=header.delimiter)
    next(reader)
    before = reader.line_num
    while True:
        try:
            cells = next(reader, None)
        except csv.Error as error:
            yield Fault(before + 1, "csv", f"Not CSV: {error}. Is a quotation mark missing?")
            before = reader.line_num
            continue
        skipped = len(faults)
        yield from faults
        faults.clear()
        if cells is None:
            return
        number, before = before + 1 + skipped, reader.line_num + skipped
        if len(cells) == len(header.names):
            yield Row(number, _renamed(dict(zip(header.names, cells, strict=True)), mapping), end)
        elif cells:
            yield Fault(
                number, "columns", f"The row has {len(cells)} values, and the header {len(header.names)} columns."
            )


def check_mapping(mapping: Mapping[str, str], columns: list[str]) -> None:
    """Raises BadData where a column is named that is not there."""
    missing = sorted(set(mapping.values()) - set(columns))
    if missing:
        there = ", ".join(columns[:NAMED_COLUMNS])
        message = f"There is no column {missing[0]!r}. The columns are: {there}."
        raise BadData(Fault(0, "mapping", message))


def _opened(path: Path) -> parquet.ParquetFile:
    """Raises BadData."""
    try:
        return parquet.ParquetFile(path, memory_map=False, pre_buffer=False, buffer_size=MAX_LINE_BYTES)
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        raise BadData(Fault(0, "parquet", f"Not a whole Parquet file: {str(error)[:300]}. Write it again.")) from error


def _read_parquet(path: Path, mapping: Mapping[str, str]) -> Iterator[Row | Fault]:
    file = _opened(path)
    check_mapping(mapping, list(file.schema_arrow.names))
    number = 0
    try:
        for batch in file.iter_batches(batch_size=BATCH_ROWS, use_threads=False):
            for values in batch.to_pylist():
                number += 1
                yield Row(number, _renamed(values, mapping), number)
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        message = f"The file is damaged after row {number}: {str(error)[:300]}. Write it again."
        raise BadData(Fault(number + 1, "parquet", message)) from error


def _read_text(path: Path, _mapping: Mapping[str, str]) -> Iterator[Row | Fault]:
    """Pieces of PIECE_CHARS at most, cut at an empty line where there is one, else at a line, else anywhere."""
    held: list[str] = []
    size, begin, end = 0, 1, 0
    for line in read_lines(path):
        if isinstance(line, Fault):
            yield line
            continue
        held.append(line.text + "\n")
        size, end = size + len(line.text) + 1, line.end
        while size > PIECE_CHARS:
            piece, held = _cut(held)
            yield Row(begin, {"text": piece, "goes_on": True}, end)
            begin += piece.count("\n")
            size -= len(piece)
    text = "".join(held)
    if text.strip():
        yield Row(begin, {"text": text, "goes_on": False}, end)


def _cut(held: list[str]) -> tuple[str, list[str]]:
    text = "".join(held)
    at = text.rfind("\n\n", 0, PIECE_CHARS) + 2
    at = at if at > 1 else text.rfind("\n", 0, PIECE_CHARS) + 1
    at = at or PIECE_CHARS
    return text[:at], [text[at:]]


READERS: Final[dict[Container, Callable[[Path, Mapping[str, str]], Iterator[Row | Fault]]]] = {
    Container.JSONL: _read_jsonl,
    Container.CSV: _read_csv,
    Container.PARQUET: _read_parquet,
    Container.TEXT: _read_text,
}
