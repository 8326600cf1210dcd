"""The files of the project, for rules that hold in all of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
GENERATED = {
    ".git",
    ".venv",
    ".data",
    "node_modules",
    "dist",
    "__pycache__",
    ".mypy_cache",
    ".ruff_cache",
    ".pytest_cache",
    ".hypothesis",
}
TEXT = {
    ".py",
    ".md",
    ".html",
    ".ts",
    ".js",
    ".css",
    ".json",
    ".toml",
    ".txt",
    ".in",
    ".sh",
    ".yaml",
    ".yml",
    ".svg",
    ".cfg",
    "",
}


def files(*suffixes: str, under: str = ".") -> Iterator[Path]:
    """Every file of these suffixes (all: none given) that is written by people, below ``under``."""
    for path in sorted((ROOT / under).rglob("*")):
        parts = set(path.relative_to(ROOT).parts)
        if path.is_file() and not parts & GENERATED and (not suffixes or path.suffix in suffixes):
            yield path


def shipped() -> Iterator[Path]:
    """The Python that runs in a store: no tests, no migrations that Django wrote."""
    for folder in ("store", "inference", "workers"):
        yield from (path for path in files(".py", under=folder) if path.name != "0001_initial.py")


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))
