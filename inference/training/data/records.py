"""What a file of training data holds, record by record."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from inference.errors import InferenceError


class DataFormat(StrEnum):
    """What the records are.

    CHAT: ``messages`` (role, content, tool_calls, weight…) and ``tools``. COMPLETION: ``prompt`` and ``completion``. TEXT: ``text``.
    PREFERENCE: ``prompt``, ``chosen`` and ``rejected``, each a text, or each a list of messages, and ``tools``.
    """

    CHAT = "chat"
    COMPLETION = "completion"
    PREFERENCE = "preference"
    TEXT = "text"


class Container(StrEnum):
    """How the records are written down."""

    JSONL = "jsonl"
    CSV = "csv"
    PARQUET = "parquet"
    TEXT = "text"  # one running text: its records are pieces of it


@dataclass(frozen=True, slots=True)
class Record:
    """One example. ``fields`` are those that DataFormat names, checked: of the right types, and nothing else."""

    line: int  # of a text file, from 1; of a Parquet file its row, from 1
    format: DataFormat
    fields: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a line is no record. ``code`` is stable; ``message`` a sentence that says what to do."""

    line: int
    code: str
    message: str


class BadData(InferenceError):
    """A file, or a record of it, that cannot be used. ``fault`` says which line and why; line 0: the whole file."""

    code = "bad_data"

    def __init__(self, fault: Fault) -> None:
        super().__init__(f"line {fault.line}: {fault.message}" if fault.line else fault.message)
        self.fault = fault
