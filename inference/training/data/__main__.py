"""The child that opens a file of training data for the first time, and counts its tokens: ``python -m inference.training.data``.

It reads a job from its input, and prints lines of JSON: ``{"report": …}`` or ``{"count": …}`` every half second and at the end,
where ``{"done": true}`` follows; or ``{"refused": {"line", "code", "message"}}``. It knows no settings, no database and no secret, and has
taken from itself the network and most of the memory before it opens the file.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from inference.errors import PromptError
from inference.isolation import Limits, isolate
from inference.training.data.encoding import encode_records, training_encoder
from inference.training.data.formats import record_of
from inference.training.data.reading import find_format
from inference.training.data.records import BadData, Container, DataFormat, Fault, Record
from inference.training.data.report import Counter, Reporter, clean
from inference.training.data.rows import columns_of, container_of, length_of, read_rows

SAY_EVERY_S: Final = 0.5


def main() -> None:
    job = json.load(sys.stdin)
    _say(isolation=isolate(Limits(**job["limits"])))
    try:
        (_count if job["encoder"] else _inspect)(job)
        _say(done=True)
    except BadData as error:
        fault = error.fault
        _say(refused=asdict(Fault(fault.line, fault.code, clean(fault.message))))
    except PromptError as error:
        _say(refused=asdict(Fault(0, "tokenizer", clean(f"The model's tokenizer cannot be used: {error}."))))


class _Clock:
    """True every SAY_EVERY_S."""

    def __init__(self) -> None:
        self._next = time.monotonic() + SAY_EVERY_S

    def __bool__(self) -> bool:
        now = time.monotonic()
        if now < self._next:
            return False
        self._next = now + SAY_EVERY_S
        return True


class _File:
    """The file of a job, and how far it has been read."""

    def __init__(self, job: dict[str, Any]) -> None:
        self.path = Path(job["path"])
        self.container: Container = container_of(job["filename"])
        self.mapping: dict[str, str] = job["mapping"]
        self.columns = columns_of(self.path, self.container)
        self._length = max(length_of(self.path, self.container), 1)
        self._asked: str = job["format"]
        self._end = 0

    @property
    def progress(self) -> float:
        return self._end / self._length

    def found(self, ignored: dict[str, int]) -> Iterator[Record | Fault]:
        form = DataFormat(self._asked) if self._asked else find_format(self.path, self.container, self.mapping)
        for row in read_rows(self.path, self.container, self.mapping):
            if isinstance(row, Fault):
                yield row
                continue
            self._end = row.end
            yield record_of(row, form, ignored)

    def records(self) -> Iterator[Record]:
        for found in self.found({}):
            if isinstance(found, Fault):
                raise BadData(found)
            yield found


def _inspect(job: dict[str, Any]) -> None:
    file = _File(job)
    reporter, clock = Reporter(container=file.container, columns=file.columns), _Clock()
    _say(report=reporter.made(0.0).as_json())
    for found in file.found(reporter.ignored):
        reporter.take(found)
        if clock:
            _say(report=reporter.made(file.progress).as_json())
    _say(report=reporter.made(1.0).as_json())
    if not reporter.report.examples and not reporter.report.fault_count:
        raise BadData(Fault(0, "empty", "There is nothing in the file."))


def _count(job: dict[str, Any]) -> None:
    file, asked = _File(job), job["encoder"]
    encoder = training_encoder(Path(asked["folder"]), config=asked["config"])
    counter, clock = Counter(), _Clock()
    skipped: list[Fault] = []
    for made in encode_records(file.records(), encoder, max_length=asked["max_length"], skipped=skipped):
        counter.take(made)
        if clock:
            _say(count=asdict(counter.made(file.progress, skipped=len(skipped))))
    if not counter.count.examples and skipped:
        raise BadData(skipped[0])
    _say(count=asdict(counter.made(1.0, skipped=len(skipped))))


def _say(**message: Any) -> None:
    print(json.dumps(message), flush=True)


if __name__ == "__main__":
    main()
