"""Reads and checks the header of a safetensors file, without touching the weights. Standard library only.

The format (https://huggingface.co/docs/safetensors): eight bytes of little-endian header length, a JSON object that maps names to
``{"dtype", "shape", "data_offsets": [begin, end]}``, then the buffer that the offsets count from. The ``safetensors`` library
accepts duplicate names; this reader does not, for two readers of such a file could see two different models.
"""

from __future__ import annotations

import json
import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

MAX_HEADER_BYTES: Final = 32 * 1024 * 1024  # the largest published models need about 3 MiB
MAX_TENSORS: Final = 200_000
MAX_DIMS: Final = 8
ITEM_BITS: Final = {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E4M3": 8, "F8_E5M2": 8, "I16": 16, "U16": 16, "F16": 16, "BF16": 16,
    "I32": 32, "U32": 32, "F32": 32, "I64": 64, "U64": 64, "F64": 64,
}  # fmt: skip


class HeaderError(ValueError):
    """A header that no correct writer makes. The message is a sentence without a full stop."""


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """One tensor of a file; ``begin`` and ``end`` are bytes from the start of the buffer."""

    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


def load_json(text: bytes) -> Any:
    """Strict JSON: no duplicate keys, no NaN, nothing infinite. Raises :class:`ValueError`, also where ``json`` would raise RecursionError."""
    try:
        return json.loads(
            text.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_refuse_constant, parse_float=_finite
        )
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("it has a key twice")
    return made


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"it contains {name}, which is not JSON")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):  # "1e999" is JSON, and infinite
        raise ValueError(f"it contains {text[:40]}, which no number here can be")
    return value


def read_header(path: Path) -> dict[str, TensorInfo]:
    """Returns name -> :class:`TensorInfo` of every tensor. Raises :class:`HeaderError` and :class:`OSError`."""
    size = path.stat().st_size
    with path.open("rb") as file:
        length = _header_length(file.read(8), size)
        raw = file.read(length)
    try:
        header = load_json(raw)
    except ValueError as error:
        raise HeaderError(f"the header is not valid JSON: {error}") from None
    if not isinstance(header, dict):
        raise HeaderError("the header is not a JSON object")
    _check_metadata(header.pop("__metadata__", {}))
    if not 0 < len(header) <= MAX_TENSORS:
        raise HeaderError(f"the header names {len(header)} tensors; 1 to {MAX_TENSORS} are accepted")
    tensors = {name: _read_tensor(name, entry) for name, entry in header.items()}
    _check_cover(tensors, buffer_bytes=size - 8 - length)
    return tensors


def _header_length(prefix: bytes, size: int) -> int:
    if len(prefix) < 8:
        raise HeaderError("the file is too short to be a safetensors file")
    (length,) = struct.unpack("<Q", prefix)
    if not 2 <= length <= min(MAX_HEADER_BYTES, size - 8):
        raise HeaderError(f"the header claims {length} bytes in a file of {size}")
    return int(length)


def _check_metadata(metadata: Any) -> None:
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise HeaderError("`__metadata__` is not a map from text to text")


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**63


def _read_tensor(name: str, entry: Any) -> TensorInfo:
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise HeaderError(f"tensor {name[:100]!r} needs exactly dtype, shape and data_offsets")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in ITEM_BITS:
        raise HeaderError(f"tensor {name[:100]!r} has the unknown dtype {str(dtype)[:20]!r}")
    if not isinstance(shape, list) or len(shape) > MAX_DIMS or not all(map(_is_count, shape)):
        raise HeaderError(f"tensor {name[:100]!r} has a malformed shape")
    if not isinstance(offsets, list) or len(offsets) != 2 or not all(map(_is_count, offsets)):
        raise HeaderError(f"tensor {name[:100]!r} has malformed data_offsets")
    begin, end = offsets
    if (end - begin) * 8 != math.prod(shape) * ITEM_BITS[dtype]:
        raise HeaderError(f"tensor {name[:100]!r} has {end - begin} bytes, which do not fit its shape and dtype")
    return TensorInfo(dtype=dtype, shape=tuple(shape), begin=begin, end=end)


def _check_cover(tensors: dict[str, TensorInfo], *, buffer_bytes: int) -> None:
    """Every byte of the buffer belongs to exactly one tensor: nothing overlaps, nothing is hidden between them."""
    at = 0
    for name, tensor in sorted(tensors.items(), key=lambda item: (item[1].begin, item[1].end)):
        if tensor.begin != at:
            what = "overlaps the one before it" if tensor.begin < at else "leaves unused bytes before it"
            raise HeaderError(f"tensor {name[:100]!r} {what}")
        at = tensor.end
    if at != buffer_bytes:
        raise HeaderError(f"the tensors take {at} bytes and the file holds {buffer_bytes}; it is cut off or padded")
