"""What tokenizer.json says, read as JSON: the library that runs it comes later, in a child. Standard library only."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from inference.architectures import Architecture
from inference.manifest.entries import Problem
from inference.manifest.json_files import read_json
from inference.manifest.remedies import SAVE_TOKENIZER

TOKENIZER: Final = "tokenizer.json"


def count_tokens(folder: Path, found: Mapping[str, Any], problems: list[Problem]) -> int:
    """One more than the highest token id of tokenizer.json; 0 where there is none, or none that can be read."""
    made = read_json(folder, TOKENIZER, problems) if TOKENIZER in found else None
    if made is None:
        return 0
    ids = _token_ids(made)
    if not ids:
        message = f"tokenizer.json has no vocabulary; this writes it:\n{SAVE_TOKENIZER}"
        problems.append(Problem(TOKENIZER, "bad_tokenizer", message))
    elif min(ids) < 0:
        message = f"tokenizer.json has the token {min(ids)}; tokens count from 0. This writes it:\n{SAVE_TOKENIZER}"
        problems.append(Problem(TOKENIZER, "bad_tokenizer", message))
    return max(ids, default=-1) + 1


def check_tokenizer(
    folder: Path,
    present: set[str],
    found: Mapping[str, Any],
    architecture: Architecture | None,
    problems: list[Problem],
) -> None:
    """A model needs a tokenizer, and its tokens must be the model's."""
    if TOKENIZER not in present:
        message = f"tokenizer.json is missing; this writes it:\n{SAVE_TOKENIZER}"
        problems.append(Problem(TOKENIZER, "missing", message))
    tokens = count_tokens(folder, found, problems)
    if architecture and tokens > architecture.vocab_size:
        message = (
            f"tokenizer.json has the token {tokens - 1}, and the model knows {architecture.vocab_size} tokens; "
            "upload the model's own tokenizer, or resize its embeddings."
        )
        problems.append(Problem(TOKENIZER, "tokenizer_differs", message))


def _token_ids(tokenizer: dict[str, Any]) -> set[int]:
    """Every token id, added tokens included; empty where there is no vocabulary that can be read."""
    model, added = tokenizer.get("model"), tokenizer.get("added_tokens") or []
    vocab = model.get("vocab") if isinstance(model, dict) else None
    ids = (
        list(vocab.values()) if isinstance(vocab, dict) else list(range(len(vocab))) if isinstance(vocab, list) else []
    )
    more = [entry.get("id") for entry in added if isinstance(entry, dict)] if isinstance(added, list) else []
    return {i for i in [*ids, *more] if type(i) is int} if ids else set()
