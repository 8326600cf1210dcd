"""What the small files beside the weights say about tokens. Standard library only."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def read_json(path: Path) -> dict[str, Any]:
    """A file's JSON object, empty where there is no such file. Raises :class:`ValueError` on anything else."""
    try:
        made = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    if not isinstance(made, dict):
        raise ValueError(f"{path.name} is not a JSON object")
    return made


def special_tokens(folder: Path) -> dict[str, str]:
    """``{"bos_token": "<s>", ...}`` as chat templates see them."""
    named = read_json(folder / "special_tokens_map.json") | read_json(folder / "tokenizer_config.json")
    texts = {name: entry.get("content") if isinstance(entry, dict) else entry for name, entry in named.items()}
    return {name: text for name, text in texts.items() if name.endswith("_token") and isinstance(text, str)}


def read_eos_ids(folder: Path) -> frozenset[int]:
    """The tokens that end an output: as the generation config says, else the config, else the tokenizer's end token."""
    for name in ("generation_config.json", "config.json"):
        told = read_json(folder / name).get("eos_token_id")
        if told is not None:
            return frozenset(told if isinstance(told, list) else [told])
    end = special_tokens(folder).get("eos_token")
    added = read_json(folder / "tokenizer.json").get("added_tokens") or []
    return frozenset(entry["id"] for entry in added if entry["content"] == end)
