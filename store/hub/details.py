"""What a model says of itself in its files: the card's metadata, the configuration, the types of its numbers."""

from __future__ import annotations

import json
from collections import Counter
from functools import lru_cache
from math import prod
from pathlib import Path
from typing import Any

from django.core.files.storage import FileSystemStorage, default_storage

from inference.manifest import MAX_TEXT_BYTES, FileEntry
from store.catalog.card import CardError, read_metadata
from store.hub.reads import storage_name

CARD, CONFIG = "README.md", "config.json"
WEIGHTS = ".safetensors"


def card_data(files: list[FileEntry]) -> dict[str, Any] | None:
    """The card's front matter as JSON has it; None where there is none, or it cannot be read."""
    file = next((file for file in files if file.path == CARD), None)
    text = _read(file).decode(errors="replace") if file else ""
    try:
        said = read_metadata(text)
    except CardError:
        return None
    # Dates become text, as on the Hub; JSON has no NaN, and no keys but texts.
    made: dict[str, Any] = json.loads(json.dumps(said, default=str, skipkeys=True), parse_constant=lambda _name: None)
    return made or None


def config(files: list[FileEntry]) -> dict[str, Any] | None:
    """The part of config.json that the Hub shows."""
    file = next((file for file in files if file.path == CONFIG), None)
    try:
        said = json.loads(_read(file)) if file else None
    except (ValueError, RecursionError):
        return None
    return (
        {key: said[key] for key in ("architectures", "model_type") if key in said} if isinstance(said, dict) else None
    )


def dtypes(files: list[FileEntry]) -> dict[str, int] | None:
    """Parameters by type of number ("F32", "BF16"), of weights that were checked; None where that takes a download to know."""
    if not isinstance(default_storage, FileSystemStorage):
        return None
    weights = tuple(storage_name(file) for file in files if file.path.endswith(WEIGHTS))
    return _count(weights) if weights else None


@lru_cache(maxsize=1024)
def _count(names: tuple[str, ...]) -> dict[str, int] | None:
    counted: Counter[str] = Counter()
    try:
        for name in names:
            for tensor in _header(Path(default_storage.path(name))).values():
                counted[tensor["dtype"]] += prod(tensor["shape"])
    except OSError:
        return None
    return dict(counted)


def _header(path: Path) -> dict[str, Any]:
    """Of a safetensors file that the checks let through: eight bytes of length, then JSON, by the names of the tensors."""
    with path.open("rb") as file:
        header: dict[str, Any] = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    header.pop("__metadata__", None)
    return header


def _read(file: FileEntry) -> bytes:
    """The content of a small file; nothing of one that is too large to be one."""
    if file.size > MAX_TEXT_BYTES:
        return b""
    with default_storage.open(storage_name(file)) as source:
        content: bytes = source.read()
    return content
