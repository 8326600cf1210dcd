"""The weights of a whole model: the headers of its safetensors files against its config. Standard library only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from inference.architectures import Architecture
from inference.manifest.entries import Problem
from inference.manifest.json_files import read_json
from inference.manifest.paths import INDEX
from inference.tensors import HeaderError, TensorInfo, read_header

SUFFIX: Final = ".safetensors"
DTYPES: Final = ("F32", "F16", "BF16")
# What stands in the place of weights and is refused already: then nobody needs to hear that weights are missing.
IN_PLACE_OF_WEIGHTS: Final = ("pickle", "gguf", "archive", "lfs_pointer", "empty")


def read_headers(folder: Path, names: list[str], problems: list[Problem]) -> dict[str, dict[str, TensorInfo]]:
    """File -> its tensors, of those files that can be read; of the others it is said why they cannot."""
    headers = {}
    for name in names:
        try:
            headers[name] = read_header(folder / name)
        except HeaderError as error:
            message = f"{name} is damaged: {error}. Save it again with `save_pretrained`, and upload it again."
            problems.append(Problem(name, "bad_safetensors", message))
    return headers


def check_dtypes(name: str, tensors: Mapping[str, TensorInfo], problems: list[Problem]) -> None:
    """Weights are numbers of 16 or 32 bits; ``name`` is the file's."""
    for tensor, info in tensors.items():
        if info.dtype not in DTYPES:
            message = f"{tensor[:100]!r} is {info.dtype}; save the model as float32, bfloat16 or float16."
            problems.append(Problem(name, "bad_dtype", message))
            return


def check_weights(
    folder: Path,
    present: set[str],
    found: Mapping[str, Any],
    architecture: Architecture | None,
    problems: list[Problem],
) -> None:
    """Every weight is there once, in the shape that the config asks for, and nothing else is."""
    names = sorted(name for name in found if name.endswith(SUFFIX))
    refused = any(problem.code in IN_PLACE_OF_WEIGHTS for problem in problems)
    if not names:
        if not refused:
            message = "The weights are missing; `model.save_pretrained(folder)` writes model.safetensors."
            problems.append(Problem("model.safetensors", "missing", message))
        return
    before = len(problems)
    headers = read_headers(folder, names, problems)
    where: dict[str, str] = {}
    for name, tensors in headers.items():
        twice = sorted(where.keys() & tensors.keys())
        if twice:
            message = f"{name} repeats {twice[0][:100]!r} of {where[twice[0]]}; remove the file you do not need."
            problems.append(Problem(name, "tensor_twice", message))
        where |= dict.fromkeys(tensors, name)
    if len(problems) == before and not refused:
        _check_index(folder, present, found, where, problems)
    if architecture is not None and len(problems) == before and not refused:
        problems += check_tensors(architecture, {k: v for tensors in headers.values() for k, v in tensors.items()})


def _check_index(
    folder: Path, present: set[str], found: Mapping[str, Any], where: dict[str, str], problems: list[Problem]
) -> None:
    names = set(where.values())
    if INDEX not in present:
        if names != {"model.safetensors"}:
            message = f"{INDEX} is missing, and the weights are not in one model.safetensors; upload it, too."
            problems.append(Problem(INDEX, "missing", message))
        return
    index = read_json(folder, INDEX, problems) if INDEX in found else None
    if index is None:
        return
    weight_map = index.get("weight_map")
    if not isinstance(weight_map, dict) or not all(isinstance(v, str) for v in weight_map.values()):
        message = f"{INDEX} has no `weight_map` from tensors to files; save the model again."
        problems.append(Problem(INDEX, "bad_index", message))
    elif lost := sorted(set(weight_map.values()) - present):
        message = f"{lost[0][:100]!r} is missing, which {INDEX} names; upload all parts of one save."
        problems.append(Problem(lost[0][:100], "missing_shard", message))
    elif weight_map != where:
        odd = sorted(name for name in weight_map.keys() | where.keys() if weight_map.get(name) != where.get(name))
        message = f"{INDEX} and the files differ in {odd[0][:100]!r}; upload all parts of one save."
        problems.append(Problem(INDEX, "bad_index", message))


def check_tensors(architecture: Architecture, tensors: Mapping[str, TensorInfo]) -> list[Problem]:
    """Without this, transformers would fill what is missing with random numbers, and say so in a log only."""
    kept = {name: info for name, info in tensors.items() if not architecture.leftovers.fullmatch(name)}
    renamed = architecture.rename(list(kept))
    shapes = {renamed[name]: info.shape for name, info in kept.items()}
    wanted = architecture.optional | architecture.shapes
    if lost := next((name for name in architecture.shapes if name not in shapes), None):
        message = (
            f"The weights lack {lost!r}, which config.json asks for; save the whole model again with `save_pretrained`."
        )
        return [Problem("", "weights_missing", message)]
    if len(shapes) != len(kept):
        twice = next(name for name, count in Counter(renamed.values()).items() if count > 1)
        message = (
            f"The weights hold {twice!r} twice, under an older name, too; save the model again with `save_pretrained`."
        )
        return [Problem("", "tensor_twice", message)]
    if odd := next((name for name in shapes if name not in wanted), None):
        message = f"The weights hold {odd[:100]!r}, which config.json does not ask for; save the model again as {architecture.name}."
        return [Problem("", "weights_unknown", message)]
    if odd := next((name for name, shape in shapes.items() if shape != wanted[name]), None):
        message = f"{odd!r} has the shape {list(shapes[odd])}, and config.json asks for {list(wanted[odd])}; upload the config of these weights."
        return [Problem("", "weights_differ", message)]
    problems: list[Problem] = []
    check_dtypes("", kept, problems)
    return problems
