"""The small JSON files of a release. Standard library only."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from inference.architectures import Architecture, ConfigError, check_token_ids, read_architecture
from inference.architectures.config import number
from inference.manifest.entries import Problem
from inference.tensors import load_json

MAX_GENERATED: Final = 1e20  # older saves write it for "no limit"
CODE_KEYS: Final = ("auto_map", "custom_generate", "custom_pipelines")
PLAIN: Final = ("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.json", "numbers.json")


def read_json(folder: Path, name: str, problems: list[Problem]) -> dict[str, Any] | None:
    """The object in the file, or None, and then it is said why."""
    try:
        made = load_json((folder / name).read_bytes())
    except ValueError as error:
        message = f"{name} is not valid JSON ({error}); save it again with `save_pretrained`."
        problems.append(Problem(name, "bad_json", message))
        return None
    if not isinstance(made, dict):
        problems.append(
            Problem(name, "bad_json", f"{name} is not a JSON object; save it again with `save_pretrained`.")
        )
        return None
    return made


def check_config(folder: Path, found: Mapping[str, Any], problems: list[Problem]) -> Architecture | None:
    """``config.json`` as an architecture that is served, or None, and then it is said why."""
    config = read_json(folder, "config.json", problems) if "config.json" in found else None
    if config is None:
        return None
    try:
        return read_architecture(config)
    except ConfigError as error:
        problems.append(Problem("config.json", "bad_config", f"{error}."))
        return None


def check_small_files(
    folder: Path, found: Mapping[str, Any], architecture: Architecture | None, problems: list[Problem]
) -> None:
    """Everything in JSON besides the config, the index, the tokenizer and an adapter's config."""
    for name in PLAIN:
        made = read_json(folder, name, problems) if name in found else None
        for key in CODE_KEYS:
            if made and made.get(key):
                message = f"{name} has `{key}`, which needs code that is not run here; remove it."
                problems.append(Problem(name, "bad_config", message))
    name = "generation_config.json"
    made = read_json(folder, name, problems) if name in found else None
    if made is not None:
        try:
            _check_generation(made, architecture)
        except ConfigError as error:
            problems.append(Problem(name, "bad_config", f"{name}: {error}."))


def _check_generation(config: dict[str, Any], architecture: Architecture | None) -> None:
    for key in CODE_KEYS:
        if config.get(key):
            raise ConfigError(f"`{key}` needs code that is not run here; remove it")
    bounds = {"temperature": (0, 100), "top_p": (0, 1), "top_k": (0, 2**31), "repetition_penalty": (1e-3, 100)}
    for key, (low, high) in bounds.items():
        number(config, key, low=low, high=high, default=1)
    for key in ("max_length", "max_new_tokens", "min_length", "min_new_tokens"):
        number(config, key, low=0, high=MAX_GENERATED, default=1)
    if architecture:
        for key in ("eos_token_id", "bos_token_id", "pad_token_id"):
            check_token_ids(config, key, architecture.vocab_size)
