"""What is found in a file of training data, counted as it is read. Its JSON is kept by the store and shown to the file's owner."""

from __future__ import annotations

import hashlib
import json
from array import array
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from inference.training.data.encoding import Encoded, EncodedPair
from inference.training.data.records import DataFormat, Fault, Record

KEPT_FAULTS: Final = 100  # the first; all are counted
KEPT_SAMPLES: Final = 5
SAMPLE_CHARS: Final = 600  # of each text in a sample
KEPT_NAMES: Final = 50  # of columns, and of keys that nobody reads


def clean(text: str) -> str:
    """Without what PostgreSQL keeps in no JSON: NUL, and halves of characters."""
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()


class Histogram:
    """How many values there are up to each power of two."""

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}
        self.most = 0

    def add(self, value: int) -> None:
        at = max(value - 1, 0).bit_length()
        self._counts[at] = self._counts.get(at, 0) + 1
        self.most = max(self.most, value)

    def as_json(self) -> list[list[int]]:
        """``[[up to, how many], …]``, without holes between the first and the last."""
        if not self._counts:
            return []
        return [[1 << at, self._counts.get(at, 0)] for at in range(min(self._counts), max(self._counts) + 1)]


class Seen:
    """Fingerprints in bounded memory: 32 MiB, after KEPT of them no new one is kept."""

    SLOTS: Final = 1 << 22
    KEPT: Final = 3_000_000

    def __init__(self) -> None:
        self._slots = array("Q", bytes(8 * self.SLOTS))
        self._kept = 0

    def add(self, record: Record) -> bool:
        """Whether the same record came before."""
        text = json.dumps(record.fields, sort_keys=True)
        print_ = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest()) or 1
        at = print_ % self.SLOTS
        while there := self._slots[at]:
            if there == print_:
                return True
            at = (at + 1) % self.SLOTS
        if self._kept < self.KEPT:
            self._slots[at] = print_
            self._kept += 1
        return False


@dataclass(slots=True)
class Report:
    """``progress``: 0 to 1. ``fault_codes``: how often each. ``characters``: histogram over examples."""

    format: str = ""
    container: str = ""
    columns: list[str] = field(default_factory=list)
    examples: int = 0
    progress: float = 0.0
    faults: list[dict[str, Any]] = field(default_factory=list)
    fault_count: int = 0
    fault_codes: dict[str, int] = field(default_factory=dict)
    characters: list[list[int]] = field(default_factory=list)
    total_characters: int = 0
    longest_characters: int = 0
    duplicates: int = 0
    empty_turns: int = 0  # of others than the assistant: theirs are faults
    turns: int = 0
    roles: dict[str, int] = field(default_factory=dict)
    ignored: dict[str, int] = field(default_factory=dict)
    samples: list[dict[str, Any]] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


class Reporter:
    """Makes a report, record by record."""

    def __init__(self, *, container: str, columns: list[str]) -> None:
        self.report = Report(container=container, columns=[clean(name)[:200] for name in columns[:KEPT_NAMES]])
        self.ignored: dict[str, int] = {}
        self._characters = Histogram()
        self._seen = Seen()

    def take(self, found: Record | Fault) -> None:
        if isinstance(found, Fault):
            self._take_fault(found)
        else:
            self._take_record(found)

    def made(self, progress: float) -> Report:
        """The report so far."""
        report = self.report
        report.progress = min(progress, 1.0)
        report.characters, report.longest_characters = self._characters.as_json(), self._characters.most
        report.ignored = {clean(name): count for name, count in list(self.ignored.items())[:KEPT_NAMES]}
        return report

    def _take_fault(self, fault: Fault) -> None:
        report = self.report
        report.fault_count += 1
        report.fault_codes[fault.code] = report.fault_codes.get(fault.code, 0) + 1
        if len(report.faults) < KEPT_FAULTS:
            report.faults.append(asdict(Fault(fault.line, fault.code, clean(fault.message))))

    def _take_record(self, record: Record) -> None:
        report = self.report
        report.format = record.format
        report.examples += 1
        report.duplicates += self._seen.add(record)
        for message in _messages(record):
            role = message["role"]
            report.turns += 1
            report.roles[role] = report.roles.get(role, 0) + 1
            report.empty_turns += not message["content"].strip() and not message.get("tool_calls")
        length = _characters(record.fields)
        report.total_characters += length
        self._characters.add(length)
        if len(report.samples) < KEPT_SAMPLES:
            report.samples.append({"line": record.line, "fields": _shortened(record.fields)})


@dataclass(slots=True)
class Count:
    """How many tokens a file has: the fields of the store's Tally."""

    examples: int = 0  # records would be fewer of a text, which is cut into windows
    tokens: int = 0
    trainable_tokens: int = 0
    truncated: int = 0
    skipped: int = 0  # examples of which nothing to learn is left
    longest: int = 0
    histogram: list[list[int]] = field(default_factory=list)
    progress: float = 0.0


class Counter:
    """Makes a Count."""

    def __init__(self) -> None:
        self.count = Count()
        self._lengths = Histogram()

    def take(self, made: Encoded | EncodedPair) -> None:
        count = self.count
        count.examples += 1
        count.tokens += made.tokens
        count.trainable_tokens += made.trainable_tokens
        count.truncated += made.truncated
        self._lengths.add(made.full_length)

    def made(self, progress: float, *, skipped: int) -> Count:
        """The count so far."""
        self.count.progress, self.count.skipped = min(progress, 1.0), skipped
        self.count.histogram, self.count.longest = self._lengths.as_json(), self._lengths.most
        return self.count


def _messages(record: Record) -> list[dict[str, Any]]:
    fields = record.fields
    if record.format == DataFormat.CHAT:
        return list(fields["messages"])
    if record.format == DataFormat.PREFERENCE and isinstance(fields["prompt"], list):
        return [*fields["prompt"], *fields["chosen"]]
    return []


def _characters(value: Any) -> int:
    """Of all texts in a value; names and roles of messages do not count."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, dict):
        return sum(_characters(item) for key, item in value.items() if key != "role")
    return sum(map(_characters, value)) if isinstance(value, list) else 0


def _shortened(value: Any) -> Any:
    if isinstance(value, str):
        return clean(value[:SAMPLE_CHARS] + "…" if len(value) > SAMPLE_CHARS else value)
    if isinstance(value, dict):
        return {clean(str(key)): _shortened(item) for key, item in list(value.items())[:KEPT_NAMES]}
    return [_shortened(item) for item in value[:KEPT_NAMES]] if isinstance(value, list) else value
