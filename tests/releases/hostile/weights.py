"""Weights: headers that lie, parts that are missing, tensors of another model."""

from __future__ import annotations

import json
from pathlib import Path

from tests.releases.folders import Case, Spoil, after, packed, put, remove, reshape, safetensors, shapes_of, shard

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
SECOND = "model-00002-of-00002.safetensors"
ENTRY = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


def header(made: object, buffer: int = 8, **options: int) -> Spoil:
    text = made if isinstance(made, bytes) else json.dumps(made).encode()
    return put(WEIGHTS, packed(text, bytes(buffer), **options))


def cut(folder: Path) -> None:
    """The connection broke after half of it."""
    data = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(data[: len(data) // 2])


def longer(folder: Path) -> None:
    with (folder / WEIGHTS).open("ab") as file:
        file.write(b"#!/bin/sh\nsomething that hides behind the weights")


def other_index(**changes: object) -> Spoil:
    def spoil(folder: Path) -> None:
        shard(folder)
        index = json.loads((folder / INDEX).read_text())
        index["weight_map"] |= changes
        (folder / INDEX).write_text(json.dumps(index))

    return spoil


def repeated(folder: Path) -> None:
    """A tensor of the first part is in the second, too."""
    shard(folder)
    first = shapes_of(folder / "model-00001-of-00002.safetensors")
    again = shapes_of(folder / SECOND) | {"transformer.wte.weight": first["transformer.wte.weight"]}
    (folder / SECOND).write_bytes(safetensors(again))


def without(name: str) -> Spoil:
    return reshape(lambda shapes: {key: shape for key, shape in shapes.items() if key != name})


def with_more(name: str, shape: tuple[int, ...]) -> Spoil:
    return reshape(lambda shapes: shapes | {name: shape})


DAMAGED = {"bad_safetensors"}
WTE = "transformer.wte.weight"
TWICE = b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}'

CASES = [
    Case("no weights", remove(WEIGHTS), {"missing"}, "The weights are missing"),
    Case("weights of 0 bytes", put(WEIGHTS, b""), {"empty"}, "is empty"),
    Case("weights of 4 bytes", put(WEIGHTS, b"abcd"), DAMAGED, "too short"),
    Case("random bytes", put(WEIGHTS, bytes(range(60, 200))), DAMAGED, "claims"),
    Case("cut in the middle", cut, DAMAGED, "cut off"),
    Case("something hidden at the end", longer, DAMAGED, "padded"),
    Case("a header longer than the file", header({"a": ENTRY}, length=10**6), DAMAGED, "claims 1000000"),
    Case("a header of 2^63 bytes", header({"a": ENTRY}, length=2**63), DAMAGED, "claims"),
    Case("a header that is a list", header([]), DAMAGED, "not a JSON object"),
    Case("a header without an end", header(b'{"a":' * 1000), DAMAGED, "JSON"),
    Case("a header nested 100,000 deep", header(b'{"a":' * 100_000 + b"1" + b"}" * 100_000), DAMAGED, "nested"),
    Case("a tensor twice in a header", header(TWICE), DAMAGED, "twice"),
    Case("NaN in a header", header(b'{"a":{"dtype":"F32","shape":[NaN],"data_offsets":[0,8]}}'), DAMAGED, "NaN"),
    Case("Infinity in a header", header(b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,Infinity]}}'), DAMAGED, "Infinity"),
    Case("1e999 in a header", header(b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,1e999]}}'), DAMAGED, "1e999"),
    Case("a shape of 10^18", header({"a": ENTRY | {"shape": [10**18]}}), DAMAGED, "do not fit"),
    Case("a shape that overflows", header({"a": ENTRY | {"shape": [2**32, 2**32, 2]}}), DAMAGED, "do not fit"),
    Case("a negative shape", header({"a": ENTRY | {"shape": [-2]}}), DAMAGED, "malformed shape"),
    Case("offsets backwards", header({"a": ENTRY | {"data_offsets": [8, 0]}}), DAMAGED, "do not fit"),
    Case("tensors that overlap", header({"a": ENTRY, "b": ENTRY | {"data_offsets": [4, 12]}}, 12), DAMAGED, "overlaps"),
    Case("a gap between tensors", header({"a": ENTRY, "b": ENTRY | {"data_offsets": [16, 24]}}, 24), DAMAGED, "unused bytes"),
    Case("an unknown dtype", header({"a": ENTRY | {"dtype": "F4"}}), DAMAGED, "dtype"),
    Case("metadata that is no text", header({"__metadata__": {"format": ["pt"]}, "a": ENTRY}), DAMAGED, "__metadata__"),
    Case("a header of no tensors", header({}, 0), DAMAGED, "names 0 tensors"),
    Case("weights of 64 bits", reshape(lambda shapes: shapes, dtype="F64"), {"bad_dtype"}, "bfloat16"),
    Case("weights of 8 bits", reshape(lambda shapes: shapes, dtype="U8"), {"bad_dtype"}, "U8"),
    Case("a layer is missing", without("transformer.h.0.mlp.c_fc.weight"), {"weights_missing"}, "h.0.mlp.c_fc.weight"),
    Case("no embeddings", without(WTE), {"weights_missing"}, "wte"),
    Case("a layer too many", with_more("transformer.h.1.ln_1.weight", (8,)), {"weights_unknown"}, "h.1.ln_1"),
    Case("a head of another task", with_more("score.weight", (2, 8)), {"weights_unknown"}, "as GPT2LMHeadModel"),
    Case("a tensor with a long name", with_more("x" * 5000, (1,)), {"weights_unknown"}, "x" * 100),
    Case("other embeddings", with_more(WTE, (300, 16)), {"weights_differ"}, "[300, 16]"),
    Case("a tied head of another shape", with_more("lm_head.weight", (301, 8)), {"weights_differ"}, "lm_head"),
    Case("a vector in the place of a matrix", with_more("transformer.h.0.attn.c_attn.weight", (192,)), {"weights_differ"}, "c_attn"),
    Case("matrices turned", reshape(lambda shapes: {k: s[::-1] for k, s in shapes.items()}), {"weights_differ"}, "wte"),
    Case("parts without an index", after(shard, remove(INDEX)), {"missing"}, INDEX),
    Case("a part is missing", after(shard, remove(SECOND)), {"missing_shard"}, SECOND),
    Case("a part of 0 bytes", after(shard, put(SECOND, b"")), {"empty"}, SECOND),
    Case("an index of 0 bytes", after(shard, put(INDEX, b"")), {"empty"}, INDEX),
    Case("an index without a map", after(shard, put(INDEX, {"metadata": {}})), {"bad_index"}, "weight_map"),
    Case("an index that leads elsewhere", other_index(**{WTE: "../../etc/passwd"}), {"missing_shard"}, "../../etc/passwd"),
    Case("an index with the wrong part", other_index(**{WTE: SECOND}), {"bad_index"}, "differ in 'transformer.wte.weight'"),
    Case("an index with a tensor too many", other_index(more=SECOND), {"bad_index"}, "more"),
    Case("an index of numbers", other_index(**{WTE: 7}), {"bad_index"}, "weight_map"),
    Case("a tensor in two parts", repeated, {"tensor_twice"}, "repeats"),
    Case("a part too many", after(shard, put("extra.safetensors", safetensors({"x": (1,)}))), {"bad_index"}, "'x'"),
    Case("weights under a name of one's own", lambda folder: (folder / WEIGHTS).rename(folder / "bard.safetensors"), {"missing"},
         "not in one model.safetensors"),
]  # fmt: skip
