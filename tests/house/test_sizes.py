"""Sizes that keep the code readable: a module 400 lines, a function 40, a view 25."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.house.tree import files, name, shipped

MODULE_LINES, FUNCTION_LINES, VIEW_LINES = 400, 40, 25


def functions(path: Path) -> Iterator[tuple[str, int]]:
    """Name and length in lines of every function, decorators and docstring included, nested functions apart."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            yield f"{name(path)}:{node.name}", (node.end_lineno or first) - first + 1


def is_view(path: Path) -> bool:
    return path.name == "views.py" or path.parent.name == "views"


def test_no_module_is_too_long() -> None:
    lengths = {name(path): len(path.read_text().splitlines()) for path in [*shipped(), *files(".py", under="tests")]}
    assert {path: lines for path, lines in lengths.items() if lines > MODULE_LINES} == {}


def test_no_function_is_too_long() -> None:
    too_long = {where: lines for path in shipped() for where, lines in functions(path) if lines > FUNCTION_LINES}
    assert too_long == {}


def test_no_view_is_too_long() -> None:
    views = [path for path in shipped() if is_view(path)]
    assert views
    assert {where: lines for path in views for where, lines in functions(path) if lines > VIEW_LINES} == {}
