"""What is wrong with files, as a page shows it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from inference.manifest import check_path


@dataclass(frozen=True, slots=True)
class ProblemRow:
    """``command`` is what can be copied to mend it; ``id`` names it in the page."""

    id: str
    path: str
    text: str
    command: str
    can_be_replaced: bool  # a better file of this name could be


def problem_rows(problems: Iterable[Mapping[str, str]]) -> list[ProblemRow]:
    """A problem's first line is a sentence, the lines after it are a command (``inference.manifest.Problem``)."""
    rows = []
    for number, problem in enumerate(problems):
        path, (text, _newline, command) = problem["path"], problem["message"].partition("\n")
        rows.append(ProblemRow(f"command-{number}", path, text, command, bool(path) and check_path(path) is None))
    return rows
