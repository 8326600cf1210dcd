"""Hostile and broken folders: refused with a sentence, and the store goes on."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from store.catalog import inspection
from store.catalog.inspection import inspect


def codes(folder: Path) -> set[str]:
    return {problem.code for problem in inspect(folder).problems}


def test_a_good_folder_has_no_problems(folder: Path) -> None:
    found = inspect(folder)
    assert found.problems == ()
    assert (found.architecture, found.card.title) == ("GPT2LMHeadModel", "Tiny")


def test_a_tokenizer_whose_regex_the_library_cannot_compile_is_a_problem(folder: Path) -> None:
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    tokenizer["pre_tokenizer"] = {"type": "Split", "pattern": {"Regex": "("}, "behavior": "Isolated", "invert": False}
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    assert codes(folder) == {"bad_tokenizer"}


def test_a_tokenizer_that_the_library_cannot_read_is_a_problem(folder: Path) -> None:
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    tokenizer["model"]["type"] = "Nothing"
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    assert codes(folder) == {"bad_tokenizer"}


@pytest.mark.parametrize(
    "front",
    ["a: [", "- a\n- b", "a: &x [1]\nb: !!python/object/apply:os.system ['true']", "[" * 20_000, "x: " + "y" * 40_000],
)
def test_front_matter_that_cannot_be_read_is_a_problem(folder: Path, front: str) -> None:
    (folder / "README.md").write_text(f"---\n{front}\n---\n# Tiny\n")
    assert codes(folder) == {"bad_card"}


def test_a_reader_that_needs_too_much_memory_dies_alone(folder: Path) -> None:
    nested = '{"a": ' * 400_000 + "1" + "}" * 400_000
    (folder / "tokenizer.json").write_text(nested)
    assert codes(folder) <= {"bad_json", "crashed"}
    assert codes(folder)


def test_a_reader_that_hangs_is_killed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspection, "BASE_TIMEOUT_S", 0.01)
    began = time.monotonic()
    assert codes(folder) == {"timeout"}
    assert time.monotonic() - began < 10


def test_the_child_sees_no_secret_of_ours(folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SECRET_KEY", "do not tell")
    seen = tmp_path / "environment"
    script = tmp_path / "python"
    script.write_text(f'#!/bin/sh\nenv > "{seen}"\nexit 3\n')
    script.chmod(0o755)
    monkeypatch.setattr(inspection.sys, "executable", str(script))
    assert codes(folder) == {"crashed"}
    assert "PYTHONPATH" in seen.read_text()
    assert "do not tell" not in seen.read_text()
