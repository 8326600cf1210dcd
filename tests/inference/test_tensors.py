"""Headers that no writer makes."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from inference.tensors import HeaderError, TensorInfo, read_header


def write(path: Path, header: Any, buffer: bytes = b"\0" * 16, *, length: int | None = None) -> Path:
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(raw) if length is None else length) + raw + buffer)
    return path


def entry(begin: int, end: int, shape: Any = (2,), dtype: Any = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": list(shape) if isinstance(shape, tuple) else shape, "data_offsets": [begin, end]}


def test_a_file_of_the_library_is_read(tmp_path: Path) -> None:
    save_file(
        {"a": torch.zeros(2, 3), "b": torch.zeros(4, dtype=torch.bfloat16)}, tmp_path / "x", metadata={"format": "pt"}
    )
    found = read_header(tmp_path / "x")
    assert {name: (t.dtype, t.shape) for name, t in found.items()} == {"a": ("F32", (2, 3)), "b": ("BF16", (4,))}


def test_a_plain_header_is_read(tmp_path: Path) -> None:
    path = write(tmp_path / "x", {"a": entry(0, 8), "b": entry(8, 16)})
    assert read_header(path)["b"] == TensorInfo("F32", (2,), 8, 16)


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ({"a": entry(0, 8), "b": entry(4, 12)}, "overlaps"),
        ({"a": entry(0, 8), "b": entry(12, 20)}, "unused bytes"),
        ({"a": entry(0, 8)}, "cut off or padded"),
        ({"a": entry(0, 16)}, "do not fit"),
        ({"a": entry(0, 8), "b": entry(8, 24, (4,))}, "cut off or padded"),
        ({"a": entry(0, 16, (2**62, 2**62))}, "do not fit"),
        ({"a": entry(0, 16, (-4,))}, "shape"),
        ({"a": entry(0, 16, (True,))}, "shape"),
        ({"a": entry(0, 16, "4")}, "shape"),
        ({"a": entry(16, 0, (4,))}, "do not fit"),
        ({"a": entry(0, 16, (4,), "F33")}, "dtype"),
        ({"a": entry(0, 16, (4,), ["F32"])}, "dtype"),
        ({"a": {"dtype": "F32"}}, "needs exactly"),
        ({"a": entry(0, 16, (4,)) | {"more": 1}}, "needs exactly"),
        ({"__metadata__": {"a": 1}, "a": entry(0, 16, (4,))}, "metadata"),
        ({}, "names 0 tensors"),
        ([], "not a JSON object"),
        (
            b'{"a": {"dtype":"F32","shape":[4],"data_offsets":[0,16]}, "a": {"dtype":"F32","shape":[4],"data_offsets":[0,16]}}',
            "twice",
        ),
        (b"{" * 100_000, "JSON"),
        (b'{"a":' * 50_000, "JSON"),
        (b"\xff\xfe", "JSON"),
    ],
)
def test_a_hostile_header_is_refused_with_a_reason(tmp_path: Path, header: Any, reason: str) -> None:
    with pytest.raises(HeaderError, match=reason):
        read_header(write(tmp_path / "x", header))


@pytest.mark.parametrize("length", [0, 1, 10**6, 2**63])
def test_a_length_beyond_the_file_is_refused(tmp_path: Path, length: int) -> None:
    with pytest.raises(HeaderError, match="claims"):
        read_header(write(tmp_path / "x", {"a": entry(0, 8)}, length=length))


def test_a_file_of_a_few_bytes_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"1234")
    with pytest.raises(HeaderError, match="too short"):
        read_header(tmp_path / "x")


@given(st.binary(max_size=200))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
def test_no_bytes_make_it_fail_otherwise(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x").write_bytes(struct.pack("<Q", max(0, len(data) - 8)) + data)
    with pytest.raises(HeaderError):
        read_header(tmp_path / "x")
