"""Each hostile release is refused with exactly what it should hear."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest

from store.catalog.reader import read_release
from tests.releases.folders import Case, write_release
from tests.releases.hostile import CASES

SOON_S = 60  # on a machine with much else to do; most take milliseconds


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A release of each kind, to be copied and spoilt."""
    root = tmp_path_factory.mktemp("good")
    return {kind: write_release(root / kind, kind) for kind in ("model", "adapter")}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_it_is_refused_with_what_it_should_hear(case: Case, good: dict[str, Path], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(good[case.kind], tmp_path / "release"))
    case.spoil(folder)
    started = time.monotonic()
    problems = read_release(folder)["problems"]
    assert time.monotonic() - started < SOON_S
    assert {problem["code"] for problem in problems} == case.codes
    assert any(case.word in problem["message"] for problem in problems), problems
    assert all(problem["message"][-1] in ".?" or "\n" in problem["message"] for problem in problems), (
        "a sentence, or lines to run"
    )


@pytest.mark.parametrize("kind", ["model", "adapter"])
def test_what_they_are_made_of_is_good(kind: str, good: dict[str, Path]) -> None:
    assert read_release(good[kind])["problems"] == []


def test_there_are_a_hundred_and_each_has_its_name() -> None:
    assert len(CASES) >= 100
    assert len({case.name for case in CASES}) == len(CASES)
