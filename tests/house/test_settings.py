"""docs/settings.md is the table of every setting: none is missing, none is left over, each default is the real one."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.house.tree import ROOT

READERS = {"store": ROOT / "store" / "settings.py", "workers": ROOT / "workers" / "settings.py"}
ROW = re.compile(r"^\| `([A-Z0-9_]+)` \| (.*?) \| (.*?) \| (.+) \|$", re.MULTILINE)


def read_by(path: Path) -> dict[str, ast.expr | None]:
    """Every name that ``env.<kind>(NAME, default)`` reads, with its default."""
    found: dict[str, ast.expr | None] = {}
    for node in ast.walk(ast.parse(path.read_text())):
        is_call = (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and isinstance(node.func.value, ast.Name)
        )
        if is_call and node.func.value.id == "env" and isinstance(node.args[0], ast.Constant):
            found.setdefault(node.args[0].value, node.args[1] if len(node.args) > 1 else None)
    return found


def documented() -> dict[str, tuple[str, str]]:
    """Name -> (default as written, who reads it)."""
    rows = ROW.findall((ROOT / "docs" / "settings.md").read_text())
    assert len(rows) == len({row[0] for row in rows}), "a setting is documented twice"
    return {row[0]: (row[1], row[2]) for row in rows}


def test_every_setting_is_documented_and_nothing_else_is() -> None:
    assert set(documented()) == {setting for path in READERS.values() for setting in read_by(path)}


@pytest.mark.parametrize("reader", READERS)
def test_the_table_says_who_reads_a_setting(reader: str) -> None:
    said = {setting for setting, (_default, readers) in documented().items() if reader in readers.split(", ")}
    assert said == set(read_by(READERS[reader]))


def test_a_plain_default_is_the_one_in_the_code() -> None:
    table = documented()
    for path in READERS.values():
        for setting, default in read_by(path).items():
            if isinstance(default, ast.Constant) and default.value != "":
                assert table[setting][0] == f"`{default.value}`", setting
