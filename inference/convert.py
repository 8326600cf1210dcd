"""Turns the weights that ``torch.save`` wrote into a release: ``python -m inference.convert fine_tuned_weights.pth --base acme/bard``.

For the owner's machine, and, with ``--sandboxed``, for a child on a worker that has no network and hard limits. In both cases only
tensors are read (``weights_only=True``): a pickle that holds anything else is refused. Names and shapes come from the base's config;
config and tokenizer are copied from the base.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import torch
from huggingface_hub import save_torch_state_dict, snapshot_download

from inference.architectures import Architecture, ConfigError, read_architecture
from inference.errors import ConversionFailed
from inference.isolation import Limits, isolate
from inference.manifest import CONVERT_GGUF, HELD_OUT, Problem, check_path, inspect_folder, is_image
from inference.manifest.weights import check_tensors
from inference.tensors import TensorInfo, load_json

# Where programs keep the weights within what they save.
PLACES: Final = ("state_dict", "model_state_dict", "model", "module", "weights", "net", "ema")
WRAPPERS: Final = 4  # prefixes such as "module." and "_orig_mod.", one inside the other
GPT2_MATRICES: Final = re.compile(r".*\.(attn\.c_attn|attn\.c_proj|mlp\.c_fc|mlp\.c_proj)\.weight")
DTYPES: Final = {torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.float64: "F32"}
SHARD_BYTES: Final = 5 * 10**9
GIB: Final = 1024**3
OWN_FILES: Final = ("README.md", HELD_OUT)  # of the base, and about the base

Tensors = dict[str, torch.Tensor]


@dataclass(frozen=True, kw_only=True, slots=True)
class Conversion:
    """What was written. ``notes`` are sentences for the owner."""

    architecture: str
    parameters: int
    files: tuple[str, ...]
    notes: tuple[str, ...]


def convert_state_dict(source: Path, base: Path, out: Path, *, shard_bytes: int = SHARD_BYTES) -> Conversion:
    """Writes the weights of ``source`` and the small files of the folder ``base`` into ``out``, which must be empty or not there.

    Raises :class:`ConversionFailed`, and :class:`OSError`.
    """
    if out.exists() and any(out.iterdir()):
        raise ConversionFailed(f"{out} is not empty. Choose another folder with --out.")
    config = _read_config(base)
    tensors, notes = _fit(_load(source), config)
    architecture = _architecture(config)
    _check(architecture, tensors)
    out.mkdir(parents=True, exist_ok=True)
    _copy_small_files(base, out)
    (out / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    ready = {name: _plain(tensors[name]) for name in sorted(tensors)}
    save_torch_state_dict(ready, out, max_shard_size=shard_bytes, metadata={"format": "pt"})
    report = inspect_folder(out)
    if report.problems:
        raise ConversionFailed(_sentences(report.problems))
    return Conversion(
        architecture=architecture.name,
        parameters=architecture.parameters,
        files=tuple(file.path for file in report.files),
        notes=tuple(notes),
    )


def _sentences(problems: tuple[Problem, ...] | list[Problem]) -> str:
    return " ".join(problem.message for problem in problems)


def _read_config(base: Path) -> dict[str, Any]:
    try:
        config = load_json((base / "config.json").read_bytes())
    except FileNotFoundError:
        raise ConversionFailed(f"{base} has no config.json. --base is the model that was fine-tuned.") from None
    except ValueError as error:
        raise ConversionFailed(f"config.json of {base} is not valid JSON: {error}.") from None
    _architecture(config)
    return dict(config)


def _architecture(config: dict[str, Any]) -> Architecture:
    try:
        return read_architecture(config)
    except ConfigError as error:
        raise ConversionFailed(f"The base is not served: {error}.") from None


def _load(source: Path) -> Tensors:
    """The tensors of a file that ``torch.save`` wrote, by name."""
    with source.open("rb") as file:
        start = file.read(16)
    if start.startswith(b"GGUF"):
        raise ConversionFailed(
            f"{source.name} is GGUF. transformers reads it:\n{CONVERT_GGUF.format(path=source.name)}"
        )
    if start[5:9] == b"\0\0\0{":
        raise ConversionFailed(
            f"{source.name} is safetensors already. Upload it as it is, with the base's config.json."
        )
    try:
        loaded = torch.load(source, map_location="cpu", weights_only=True, mmap=start.startswith(b"PK") or None)
    except Exception as error:  # whatever a stranger's file makes of the loader is the file's fault
        raise ConversionFailed(_not_loaded(source.name, error)) from error
    return _state_dict(source.name, loaded)


def _not_loaded(name: str, error: Exception) -> str:
    more = re.search(r"GLOBAL ([\w.]+)", str(error))
    if more:
        return (
            f"{name} holds more than tensors: {more[1]}, which could run code. In the program that wrote it, save the weights "
            'alone: torch.save(model.state_dict(), "weights.pth").'
        )
    first = str(error).strip().partition("\n")[0][:200]
    return f"{name} is nothing that torch.save wrote, or it is cut off ({type(error).__name__}: {first})."


def _state_dict(name: str, loaded: Any, depth: int = 2) -> Tensors:
    if isinstance(loaded, Mapping):
        tensors = {key: value for key, value in loaded.items() if isinstance(value, torch.Tensor)}
        if tensors and all(isinstance(key, str) for key in tensors):
            return tensors
        for place in PLACES if depth else ():
            if isinstance(loaded.get(place), Mapping):
                return _state_dict(name, loaded[place], depth - 1)
    raise ConversionFailed(
        f'{name} holds no weights by name. Save them with torch.save(model.state_dict(), "weights.pth").'
    )


def _fit(tensors: Tensors, config: dict[str, Any]) -> tuple[Tensors, list[str]]:
    """Names as the architecture has them. ``config`` follows the weights in the size of the vocabulary and in whether the head is tied."""
    notes: list[str] = []
    architecture = _architecture(config)
    tensors = _unwrapped(tensors, architecture)
    names = architecture.rename([name for name in tensors if not architecture.leftovers.fullmatch(name)])
    tensors = {new: tensors[old] for old, new in names.items()}
    embedding = next(iter(architecture.shapes))
    if embedding in tensors and tensors[embedding].dim() == 2 and len(tensors[embedding]) != config.get("vocab_size"):
        config["vocab_size"] = len(tensors[embedding])
        notes.append(
            f"The vocabulary has {config['vocab_size']} tokens now: copy your own tokenizer's files over the base's."
        )
        architecture = _architecture(config)
    if architecture.name == "GPT2LMHeadModel":
        tensors = _turned(tensors, architecture, notes)
    for name in architecture.optional.keys() - architecture.shapes.keys() & tensors.keys():
        same = embedding in tensors and tensors[name].shape == tensors[embedding].shape
        if same and not torch.equal(tensors[name], tensors[embedding]):
            config["tie_word_embeddings"] = False
            notes.append(f"{name} was trained apart from {embedding}: config.json says so now.")
        else:
            del tensors[name]
    return tensors, notes


def _unwrapped(tensors: Tensors, architecture: Architecture) -> Tensors:
    """Without the prefixes of wrappers (DistributedDataParallel, torch.compile, a class with a field ``model``)."""

    def known(candidate: Tensors) -> int:
        return len(set(architecture.rename(list(candidate)).values()) & architecture.shapes.keys())

    candidates = [tensors]
    for _ in range(WRAPPERS):
        first = {name.partition(".")[0] for name in candidates[-1]}
        if len(first) != 1:
            break
        candidates.append({name.partition(".")[2] or name: tensor for name, tensor in candidates[-1].items()})
    return max(candidates, key=known)


def _turned(tensors: Tensors, architecture: Architecture, notes: list[str]) -> Tensors:
    """nanoGPT and its like keep GPT-2's matrices as (out, in), as nn.Linear does; transformers keeps them the other way round."""
    probe = "transformer.h.0.attn.c_attn.weight"
    if probe not in tensors or tuple(tensors[probe].shape) != architecture.shapes[probe][::-1]:
        return tensors
    notes.append("The matrices were turned: they were written as nn.Linear keeps them.")
    return {name: tensor.T if GPT2_MATRICES.fullmatch(name) else tensor for name, tensor in tensors.items()}


def _check(architecture: Architecture, tensors: Tensors) -> None:
    """Before anything is allocated: a shape can claim more than the file holds."""
    for name, tensor in tensors.items():
        if tensor.dtype not in DTYPES or tensor.layout != torch.strided or tensor.device.type != "cpu":
            raise ConversionFailed(
                f"{name[:100]!r} is {tensor.dtype}, {tensor.layout}; save plain weights of 16 or 32 bits."
            )
    headers = {name: TensorInfo(DTYPES[t.dtype], tuple(t.shape), 0, 0) for name, t in tensors.items()}
    problems = check_tensors(architecture, headers)
    if problems:
        raise ConversionFailed(f"These weights are not of this base. {_sentences(problems)}")


def _plain(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.detach().to(torch.float32 if tensor.dtype == torch.float64 else tensor.dtype).contiguous()


def _copy_small_files(base: Path, out: Path) -> None:
    for item in sorted(base.iterdir()):
        is_small = item.is_file() and check_path(item.name) is None and not item.name.startswith(("model", "adapter_"))
        if is_small and item.suffix != ".safetensors" and item.name not in OWN_FILES and not is_image(item.name):
            shutil.copyfile(item, out / item.name)


def _fetch_base(base: str) -> Path:
    """A folder, or a model of the Hub that HF_ENDPOINT names; of that no weights are fetched."""
    if Path(base).is_dir():
        return Path(base)
    try:
        return Path(
            snapshot_download(base, ignore_patterns=["*.safetensors", "*.bin", "*.pt", "*.pth", "*.gguf", "*/*"])
        )
    except Exception as error:  # of many kinds, none of which says what --base is
        raise ConversionFailed(f"--base {base}: neither a folder nor a model that can be fetched ({error}).") from error


def _arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m inference.convert", description=__doc__)
    parser.add_argument("source", type=Path, help="what torch.save wrote: *.pth, *.pt, *.bin")
    parser.add_argument("--base", required=True, help="the model that was fine-tuned: a folder, or its name on the Hub")
    parser.add_argument("--out", type=Path, help="a new folder; by default beside the file, named after it")
    parser.add_argument(
        "--sandboxed", action="store_true", help="give up network and all but these limits first; answer in JSON"
    )
    parser.add_argument("--memory-bytes", type=int, help="with --sandboxed; by default three times the file and 8 GiB")
    parser.add_argument("--cpu-s", type=int, default=3600, help="with --sandboxed, seconds")
    return parser.parse_args(arguments)


def _sandboxed(given: argparse.Namespace) -> dict[str, Any]:
    """Isolates this process for good, and converts into one file. ``isolation`` says what keeps it from the network, if anything."""
    size = given.source.stat().st_size
    memory = given.memory_bytes or 3 * size + 8 * GIB
    torch.set_num_threads(1)
    isolation = isolate(Limits(memory_bytes=memory, cpu_s=given.cpu_s, file_bytes=2 * size + GIB))
    try:
        done = convert_state_dict(given.source, Path(given.base), given.out, shard_bytes=2**62)
    except (ConversionFailed, OSError, MemoryError, RuntimeError) as error:
        return {"isolation": isolation, "error": str(error) or type(error).__name__}
    return {"isolation": isolation, "error": "", **asdict(done)}


def main(arguments: list[str] | None = None) -> int:
    given = _arguments(arguments)
    given.out = given.out or given.source.with_name(f"{given.source.stem}-converted")
    if given.sandboxed:
        answer = _sandboxed(given)
        print(json.dumps(answer))
        return 1 if answer["error"] else 0
    try:
        done = convert_state_dict(given.source, _fetch_base(given.base), given.out)
    except (ConversionFailed, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{given.out}: {done.architecture}, {done.parameters} parameters", *done.notes, sep="\n")
    print(f"Next: write {given.out}/README.md, and `hf upload your-organization/your-model {given.out} .`")
    return 0


if __name__ == "__main__":
    sys.exit(main())
