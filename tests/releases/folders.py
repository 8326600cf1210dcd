"""Releases on disk, written without torch, and what one does to spoil them."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tests.store.catalog.folders import write_folder

BASE_DIGEST = "sha256:" + "ab" * 32
MODULE = "base_model.model.transformer.h.0.attn.c_attn"
ADAPTER: dict[str, Any] = {
    "peft_type": "LORA", "task_type": "CAUSAL_LM", "base_model_name_or_path": "acme/tiny", "revision": BASE_DIGEST, "r": 4,
    "lora_alpha": 8, "lora_dropout": 0.05, "target_modules": ["c_attn"], "fan_in_fan_out": True, "bias": "none",
    "inference_mode": True, "modules_to_save": None, "auto_mapping": None, "init_lora_weights": True, "rank_pattern": {},
    "alpha_pattern": {}, "use_dora": False, "use_rslora": False,
}  # fmt: skip
PNG = b"\x89PNG\r\n\x1a\n" + bytes(50)
ITEM_BYTES = {"F64": 8, "F32": 4, "I64": 8, "F16": 2, "BF16": 2, "U8": 1, "BOOL": 1}

Spoil = Callable[[Path], object]


@dataclass(frozen=True, slots=True)
class Case:
    """A good release, what is done to it, and what it hears: exactly these codes, and a sentence with this word."""

    name: str
    spoil: Spoil
    codes: set[str]
    word: str
    kind: Literal["model", "adapter"] = "model"


def write_release(folder: Path, kind: str) -> Path:
    """A good one: a GPT-2 of one layer, or an adapter for it."""
    if kind == "model":
        return write_folder(folder)
    folder.mkdir(parents=True)
    (folder / "adapter_config.json").write_text(json.dumps(ADAPTER))
    shapes = {f"{MODULE}.lora_A.weight": (4, 8), f"{MODULE}.lora_B.weight": (24, 4)}
    (folder / "adapter_model.safetensors").write_bytes(safetensors(shapes))
    (folder / "README.md").write_text("---\nlicense: mit\nbase_model: acme/tiny\n---\n# A voice\n")
    return folder


def safetensors(shapes: Mapping[str, tuple[int, ...]], dtype: str = "F32") -> bytes:
    """A file of zeros."""
    header, at = {}, 0
    for name, shape in shapes.items():
        size = ITEM_BYTES[dtype] * math.prod(shape)
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [at, at + size]}
        at += size
    return packed(json.dumps(header).encode(), bytes(at))


def packed(header: bytes, buffer: bytes = b"", *, length: int | None = None) -> bytes:
    """The bytes of a safetensors file; ``length`` is what it claims of its header."""
    return struct.pack("<Q", len(header) if length is None else length) + header + buffer


def shapes_of(path: Path) -> dict[str, tuple[int, ...]]:
    data = path.read_bytes()
    header = json.loads(data[8 : 8 + struct.unpack("<Q", data[:8])[0]])
    return {name: tuple(entry["shape"]) for name, entry in header.items()}


def put(name: str, content: bytes | str | Any) -> Spoil:
    """Writes a file: bytes, text, or anything else as JSON."""

    def spoil(folder: Path) -> None:
        (folder / name).parent.mkdir(exist_ok=True)
        data = content if isinstance(content, bytes | str) else json.dumps(content)
        (folder / name).write_bytes(data.encode() if isinstance(data, str) else data)

    return spoil


def edit(name: str, **changes: Any) -> Spoil:
    """Sets keys of a JSON file; where there is none, it is made."""

    def spoil(folder: Path) -> None:
        path = folder / name
        before = json.loads(path.read_text()) if path.exists() else {}
        path.write_text(json.dumps(before | changes))

    return spoil


def remove(name: str) -> Spoil:
    return lambda folder: (folder / name).unlink()


def link(name: str, target: str) -> Spoil:
    def spoil(folder: Path) -> None:
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(target)

    return spoil


def reshape(change: Callable[[dict[str, tuple[int, ...]]], dict[str, tuple[int, ...]]], **options: Any) -> Spoil:
    """Writes the weights anew, with other names or shapes."""

    def spoil(folder: Path) -> None:
        path = next(folder.glob("*.safetensors"))
        path.write_bytes(safetensors(change(shapes_of(path)), **options))

    return spoil


def shard(folder: Path) -> None:
    """Two files and their index in the place of one."""
    path = folder / "model.safetensors"
    items = list(shapes_of(path).items())
    path.unlink()
    names = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    parts = [dict(items[:4]), dict(items[4:])]
    for name, part in zip(names, parts, strict=True):
        (folder / name).write_bytes(safetensors(part))
    weight_map = {tensor: name for name, part in zip(names, parts, strict=True) for tensor in part}
    put("model.safetensors.index.json", {"metadata": {"total_size": 1}, "weight_map": weight_map})(folder)


def after(*steps: Spoil) -> Spoil:
    """One after the other."""

    def spoil(folder: Path) -> None:
        for step in steps:
            step(folder)

    return spoil
