"""Words and names that do not belong in the project."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.house.tree import TEXT, files, name, shipped

UNFINISHED = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X|HA" + r"CK)\b|NotImplemented" + r"Error")
VAGUE = {"utils.py", "helpers.py", "common.py", "core.py", "misc.py", "services.py", "signals.py"}
# Where packages come from is the machine's own business: pip and npm are configured there.
REGISTRY = re.compile(
    r"https?://[^\s\"'<>]*(pypi|pythonhosted|npmjs|yarnpkg|download\.pytorch)|--(extra-)?index-url|--find-links|\"resolved\"\s*:|file:///"
)
MAY_READ_THE_ENVIRONMENT = {"store/settings.py", "workers/settings.py", "store/bringup/supervisor.py"}


def texts() -> list[Path]:
    return [
        path
        for path in files()
        if path.suffix in TEXT and path.stat().st_size < 2_000_000 and "corpus" not in path.parts
    ]


def test_nothing_is_unfinished() -> None:
    assert [name(path) for path in [*shipped(), *files(".html", ".ts")] if UNFINISHED.search(path.read_text())] == []


def test_no_file_names_a_package_registry() -> None:
    allowed = {"lock.sh", "pin_torch.py", "test_words.py"}  # these switch such options off
    assert [
        name(path) for path in texts() if path.name not in allowed and REGISTRY.search(path.read_text(errors="replace"))
    ] == []


def test_modules_are_named_for_what_they_are() -> None:
    assert [name(path) for path in shipped() if path.name in VAGUE] == []


def test_only_the_settings_read_the_environment() -> None:
    """The supervisor hands its own on to its children, unread."""
    assert {name(path) for path in shipped() if reads_environment(path)} <= MAY_READ_THE_ENVIRONMENT


def reads_environment(path: Path) -> bool:
    return any(
        isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "os"
        and node.attr in ("environ", "getenv")
        for node in ast.walk(ast.parse(path.read_text()))
    )


@pytest.mark.parametrize("path", list(files(".html", under="templates")), ids=name)
def test_a_template_has_no_inline_script_and_no_inline_style(path: Path) -> None:
    text = path.read_text()
    assert not re.search(r"<script(?![^>]*\bsrc=)(?![^>]*type=.application/json)[^>]*>", text), "an inline script"
    assert not re.search(r"\son[a-z]+\s*=\s*[\"']", text), "an event handler in an attribute"
    assert not re.search(r"<style|\sstyle\s*=\s*[\"']", text), "an inline style"
    assert not re.search(r"(src|href)=[\"']https?://[^\"']*\.(js|css|woff2?)", text), "something from another site"


def test_every_public_function_of_the_shipped_code_is_annotated() -> None:
    bare = [
        f"{name(path)}:{node.name}"
        for path in shipped()
        if "migrations" not in path.parts
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.returns is None
        and not node.name.startswith("__")
    ]
    assert bare == []
