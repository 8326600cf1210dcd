"""What is allowed in a release, what its digest is, and what is wrong with a folder that wants to be one.

Standard library only, and no weight is loaded: the store imports it. Opening a provider's file is still work for a child process
that can be killed.

The digest of a release is ``"sha256:"`` and the hex SHA-256 of a text: the line ``gpt-store release 1``, then for each file, sorted by
the bytes of its path, the line ``<sha256 hex> <size in bytes> <path>``; UTF-8, each line ended by a newline.
"""

from __future__ import annotations

import hashlib
import re
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final

from inference.architectures import Architecture, ConfigError, Shapes, read_architecture
from inference.tensors import HeaderError, load_json, read_header

ALLOWED: Final = (
    "*.safetensors", "model.safetensors.index.json", "config.json", "generation_config.json", "adapter_config.json",
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.json", "vocab.txt",
    "merges.txt", "tokenizer.model", "chat_template.jinja", "README.md", "LICENSE", "LICENSE.md", "LICENSE.txt",
    "NOTICE", "NOTICE.md", "NOTICE.txt", "USE_POLICY.md", "numbers.json",
)  # fmt: skip
IGNORED: Final = (".gitattributes", ".gitignore")  # may lie in a folder, are never part of a release
PICKLED: Final = ("*.bin", "*.pt", "*.pth", "*.pkl", "*.pickle", "*.ckpt", "*.joblib", "*.npy", "*.npz")
# The two lines that turn a state dict into safetensors on the owner's own machine.
CONVERT: Final = """\
import torch; from safetensors.torch import save_file
save_file({{k: v.clone().contiguous() for k, v in torch.load("{path}", weights_only=True).items()}}, \
"model.safetensors", metadata={{"format": "pt"}})"""
SAVE_TOKENIZER: Final = (
    'from transformers import AutoTokenizer; AutoTokenizer.from_pretrained("your-model").save_pretrained(".")'
)
MAX_FILES: Final = 1_000
MAX_JSON_BYTES: Final = {"tokenizer.json": 128 * 1024 * 1024, "model.safetensors.index.json": 32 * 1024 * 1024}
MAX_TEXT_BYTES: Final = 4 * 1024 * 1024
MAX_PATH_CHARS: Final = 120
PATH_PATTERN: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
INDEX: Final = "model.safetensors.index.json"
SNIFF_BYTES: Final = 512


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One file of a release. ``sha256`` is 64 lower-case hex digits, ``size`` is in bytes."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a file, or the whole folder (path ""), is refused. ``message`` says what is wrong and how to mend it."""

    path: str
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class ManifestReport:
    """What a folder holds. It can be published where ``problems`` is empty; the numbers are None where they cannot be told."""

    files: tuple[FileEntry, ...]
    architecture: str | None
    parameters: int | None
    context_length: int | None  # tokens
    vocab_size: int | None
    problems: tuple[Problem, ...]

    @property
    def digest(self) -> str:
        return release_digest(self.files)


def release_document(files: Iterable[FileEntry]) -> bytes:
    """The text that a release's digest is taken over. Raises :class:`ValueError` on a path twice or a malformed entry."""
    entries = sorted(files, key=lambda entry: entry.path.encode())
    if len({entry.path for entry in entries}) != len(entries):
        raise ValueError("a path is in the release twice")
    for entry in entries:
        if "\n" in entry.path or not re.fullmatch(r"[0-9a-f]{64}", entry.sha256) or entry.size < 0:
            raise ValueError(f"malformed entry for {entry.path!r}")
    lines = [f"{entry.sha256} {entry.size} {entry.path}\n" for entry in entries]
    return "".join(["gpt-store release 1\n", *lines]).encode()


def release_digest(files: Iterable[FileEntry]) -> str:
    """``"sha256:<64 hex>"`` over every file of a release, in any order. Raises :class:`ValueError`."""
    return f"sha256:{hashlib.sha256(release_document(files)).hexdigest()}"


def check_path(path: str) -> Problem | None:
    """Whether a file of this name may be in a release at all; asked before a byte of it is accepted."""
    if not PATH_PATTERN.fullmatch(path) or len(path) > MAX_PATH_CHARS:
        wanted = "letters, digits, dot, dash and underscore, and no folders"
        return Problem(path, "bad_path", f"Rename {path[:MAX_PATH_CHARS]!r}: a file's name has {wanted}.")
    if any(fnmatchcase(path.lower(), pattern) for pattern in PICKLED):
        return _pickled(path)
    if not any(fnmatchcase(path, pattern) for pattern in ALLOWED):
        return Problem(
            path,
            "not_allowed",
            f"Remove {path}: a release holds safetensors weights, config.json, tokenizer files, README.md and a licence.",
        )
    return None


def _pickled(path: str) -> Problem:
    what = f"{path} is a pickle, which can run code when it is opened."
    return Problem(
        path, "pickle", f"{what} Convert it on your own machine and upload the result:\n{CONVERT.format(path=path)}"
    )


def check_start(path: str, start: bytes) -> Problem | None:
    """Looks at the first bytes (at least 8) of a file: a pickle or an archive under another name is refused."""
    pickled = len(start) > 1 and start[0] == 0x80 and 2 <= start[1] <= 5 and not _is_safetensors_start(start)
    if pickled or start.startswith(b"PK\x03\x04"):
        return _pickled(path)
    if start.startswith(b"version https://git-lfs"):
        return Problem(
            path,
            "lfs_pointer",
            f"{path} is a Git LFS pointer, not the file itself; run `git lfs pull` and upload again.",
        )
    return None


def _is_safetensors_start(start: bytes) -> bool:
    """A header length may begin with the two bytes of a pickle; no pickle has zeros and a brace after them."""
    return start[5:9] == b"\0\0\0{"


def hash_file(path: Path, *, name: str | None = None) -> FileEntry:
    """Reads the whole file. Raises :class:`OSError`."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return FileEntry(path=name or path.name, size=file.tell(), sha256=digest)


def inspect_folder(path: Path) -> ManifestReport:
    """Checks a folder of untrusted files against every rule of a release. Raises :class:`OSError` where it cannot be read."""
    names, problems = _list_names(path)
    files = []
    for name in names:
        with (path / name).open("rb") as file:
            problem = check_path(name) or check_start(name, file.read(SNIFF_BYTES))
        problems += [problem] if problem else []
        files.append(hash_file(path / name))
    found = {file.path: file for file in files}
    architecture = _check_config(path, found, problems)
    for name in ("generation_config.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"):
        if name in found:
            _read_json(path, found[name], problems)
    _check_weights(path, found, architecture, problems)
    _check_tokenizer(path, found, architecture, problems)
    return ManifestReport(
        files=tuple(files),
        architecture=architecture.name if architecture else None,
        parameters=architecture.parameters if architecture else None,
        context_length=architecture.context_length if architecture else None,
        vocab_size=architecture.vocab_size if architecture else None,
        problems=tuple(problems),
    )


def _list_names(path: Path) -> tuple[list[str], list[Problem]]:
    names: list[str] = []
    problems: list[Problem] = []
    for item in sorted(path.iterdir()):
        if item.name in IGNORED:
            continue
        if not stat.S_ISREG(item.lstat().st_mode):
            problems.append(
                Problem(
                    item.name,
                    "not_a_file",
                    f"Remove {item.name!r}: a release holds plain files only, no folders or links.",
                )
            )
        else:
            names.append(item.name)
    if len(names) > MAX_FILES:
        problems.append(
            Problem("", "too_many_files", f"There are {len(names)} files; a release has {MAX_FILES} at most.")
        )
        names = names[:MAX_FILES]
    return names, problems


def _read_json(folder: Path, file: FileEntry, problems: list[Problem]) -> dict[str, Any] | None:
    limit = MAX_JSON_BYTES.get(file.path, MAX_TEXT_BYTES)
    if file.size > limit:
        problems.append(
            Problem(file.path, "too_large", f"{file.path} has {file.size} bytes; {limit} are the most that is read.")
        )
        return None
    try:
        made = load_json((folder / file.path).read_bytes())
    except ValueError as error:
        problems.append(
            Problem(
                file.path, "bad_json", f"{file.path} is not valid JSON ({error}); save it again with `save_pretrained`."
            )
        )
        return None
    if not isinstance(made, dict):
        problems.append(
            Problem(file.path, "bad_json", f"{file.path} is not a JSON object; save it again with `save_pretrained`.")
        )
        return None
    return made


def _check_config(folder: Path, found: dict[str, FileEntry], problems: list[Problem]) -> Architecture | None:
    if "config.json" not in found:
        problems.append(
            Problem("config.json", "missing", "config.json is missing; `model.save_pretrained(folder)` writes it.")
        )
        return None
    config = _read_json(folder, found["config.json"], problems)
    if config is None:
        return None
    try:
        return read_architecture(config)
    except ConfigError as error:
        problems.append(Problem("config.json", "bad_config", f"{error}."))
        return None


def _check_weights(
    folder: Path, found: dict[str, FileEntry], architecture: Architecture | None, problems: list[Problem]
) -> None:
    names = [name for name in found if name.endswith(".safetensors") and not name.startswith("adapter_")]
    if not names:
        message = "The weights are missing; `model.save_pretrained(folder)` writes model.safetensors."
        problems.append(Problem("model.safetensors", "missing", message))
        return
    shapes: Shapes = {}
    before = len(problems)
    for name in names:
        try:
            tensors = read_header(folder / name)
        except HeaderError as error:
            problems.append(
                Problem(name, "bad_safetensors", f"{name} is damaged: {error}. Save it again with `save_pretrained`.")
            )
            continue
        twice = sorted(shapes.keys() & tensors.keys())
        if twice:
            problems.append(
                Problem(
                    name,
                    "tensor_twice",
                    f"{name} repeats {twice[0]!r} of another file; remove the file you do not need.",
                )
            )
        shapes |= {tensor: info.shape for tensor, info in tensors.items()}
    _check_index(folder, found, names, problems)
    if architecture is not None and len(problems) == before:
        _check_shapes(architecture, shapes, problems)


def _check_index(folder: Path, found: dict[str, FileEntry], names: list[str], problems: list[Problem]) -> None:
    if names == ["model.safetensors"] and INDEX not in found:
        return
    if INDEX not in found:
        message = f"{INDEX} is missing, and the weights are not in one model.safetensors; upload it, too."
        problems.append(Problem(INDEX, "missing", message))
        return
    index = _read_json(folder, found[INDEX], problems)
    weight_map = index.get("weight_map") if index else None
    if not isinstance(weight_map, dict) or not all(isinstance(v, str) for v in weight_map.values()):
        problems.append(
            Problem(INDEX, "bad_index", f"{INDEX} has no `weight_map` from tensors to files; save the model again.")
        )
    elif set(weight_map.values()) != set(names):
        odd = sorted(set(weight_map.values()) ^ set(names))[0]
        problems.append(
            Problem(INDEX, "bad_index", f"{INDEX} and the files differ in {odd[:100]!r}; upload all parts of one save.")
        )


def _check_shapes(architecture: Architecture, shapes: Shapes, problems: list[Problem]) -> None:
    """Without this, transformers would fill what is missing with random numbers, and say so in a log only."""
    prefix = next(iter(architecture.shapes)).split(".")[0] + "."
    # Weights of the bare model (OpenAI's own GPT-2 files) lack the prefix; transformers adds it.
    named = (
        shapes
        if any(name.startswith(prefix) for name in shapes)
        else {f"{prefix}{name}": shape for name, shape in shapes.items()}
    )
    named = named | ({"lm_head.weight": shapes["lm_head.weight"]} if "lm_head.weight" in shapes else {})
    for name, shape in architecture.shapes.items():
        if name not in named:
            message = f"The weights lack {name!r}, which config.json asks for; save the whole model again with `save_pretrained`."
            problems.append(Problem("", "weights_missing", message))
            return
        if named[name] != shape:
            message = f"{name!r} has the shape {list(named[name])}, and config.json asks for {list(shape)}; upload the config of these weights."
            problems.append(Problem("", "weights_differ", message))
            return


def _check_tokenizer(
    folder: Path, found: dict[str, FileEntry], architecture: Architecture | None, problems: list[Problem]
) -> None:
    if "tokenizer.json" not in found:
        problems.append(
            Problem("tokenizer.json", "missing", f"tokenizer.json is missing; this writes it: {SAVE_TOKENIZER}")
        )
        return
    tokenizer = _read_json(folder, found["tokenizer.json"], problems)
    if tokenizer is None:
        return
    ids = _token_ids(tokenizer)
    if not ids:
        problems.append(
            Problem(
                "tokenizer.json", "bad_tokenizer", f"tokenizer.json has no vocabulary; this writes it: {SAVE_TOKENIZER}"
            )
        )
    elif architecture and max(ids) >= architecture.vocab_size:
        message = f"tokenizer.json has the token {max(ids)}, and the model knows {architecture.vocab_size} tokens; upload the model's own tokenizer, or resize its embeddings."
        problems.append(Problem("tokenizer.json", "tokenizer_differs", message))


def _token_ids(tokenizer: dict[str, Any]) -> set[int]:
    """Every token id of a tokenizer.json, its added tokens included; empty where it has no vocabulary that can be read."""
    model, added = tokenizer.get("model"), tokenizer.get("added_tokens") or []
    vocab = model.get("vocab") if isinstance(model, dict) else None
    ids = (
        list(vocab.values()) if isinstance(vocab, dict) else list(range(len(vocab))) if isinstance(vocab, list) else []
    )
    more = [entry.get("id") for entry in added if isinstance(entry, dict)] if isinstance(added, list) else []
    return {i for i in [*ids, *more] if type(i) is int} if ids else set()
