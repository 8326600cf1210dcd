"""What the README tells a newcomer to type is there. That it works is seen in tests/test_bringup.py, which types it."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.house.tree import ROOT, files, name
from tests.readme import blocks

DOCUMENTS = [path for path in files(".md") if "sample" not in path.parts]
TARGETS = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


@pytest.mark.parametrize("path", DOCUMENTS, ids=name)
def test_a_document_points_to_what_is_there(path: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#\s]+)", path.read_text()):
        assert (path.parent / target).exists(), target


@pytest.mark.parametrize("path", DOCUMENTS, ids=name)
def test_every_make_target_that_a_document_names_is_there(path: Path) -> None:
    text = path.read_text()
    named = re.findall(r"`make ([a-z]+)", text) + re.findall(r"^make ([a-z]+)", text, re.MULTILINE)
    assert set(named) <= TARGETS


def test_every_target_is_explained_by_help() -> None:
    said = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert {target for target in TARGETS if f"make {target} " in said} == TARGETS


def test_the_readme_has_the_two_commands_and_the_first_call() -> None:
    shell = blocks("sh")
    assert shell[:2] == ["make up\n", "make test\n"]
    assert any("curl" in block for block in shell)
    assert any("from openai import OpenAI" in block for block in blocks("python"))


def test_continuous_integration_runs_the_readmes_test_command() -> None:
    assert (ROOT / ".ci" / "run").read_text().splitlines()[-1] == "make test"
