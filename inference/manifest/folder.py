"""Everything that can be said of a folder without a library and without a weight. Standard library only."""

from __future__ import annotations

import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from inference.manifest.adapter import Adapter, read_adapter
from inference.manifest.entries import SNIFF_BYTES, FileEntry, Problem, hash_rest, release_digest
from inference.manifest.json_files import check_config, check_small_files
from inference.manifest.paths import (
    ADAPTER_CONFIG,
    ADAPTER_WEIGHTS,
    HELD_OUT,
    IGNORED,
    TEXTS,
    check_paths,
    check_size,
    check_start,
)
from inference.manifest.tokenizer import check_tokenizer, count_tokens
from inference.manifest.weights import check_weights


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestReport:
    """What a folder holds. It can be published where ``problems`` is empty; the numbers are None where they cannot be told.

    Of an adapter they are its own: ``parameters`` are those that it adds, and the rest is its base's to say.
    """

    files: tuple[FileEntry, ...]
    architecture: str | None
    parameters: int | None
    context_length: int | None  # tokens
    vocab_size: int | None
    task: str | None  # the Hub's pipeline tag
    adapter: Adapter | None
    problems: tuple[Problem, ...]

    @property
    def digest(self) -> str:
        return release_digest(self.files)

    @property
    def base_digest(self) -> str:
        """Of an adapter's base, "sha256:<64 hex>"; "" for full weights, and where adapter_config.json does not say it."""
        return self.adapter.base_digest if self.adapter else ""

    @property
    def has_held_out(self) -> bool:
        """A text of the provider's own to measure on."""
        return any(file.path == HELD_OUT for file in self.files)


def inspect_folder(folder: Path, *, hashes: Mapping[str, FileEntry] | None = None) -> ManifestReport:
    """Checks untrusted files against every rule of a release. Raises :class:`OSError` where they cannot be read.

    With ``hashes`` (path -> entry) the files are those, their size and content are believed, links are followed, and of weights
    only the headers are read. Without, the folder is listed, and every byte is read once.
    """
    problems: list[Problem] = []
    present = set(hashes) if hashes is not None else _list(folder, problems)
    named = check_paths(present)
    problems += named
    if any(problem.code == "too_many_files" for problem in named):
        present = set()
    refused = {problem.path for problem in named}
    found: dict[str, FileEntry] = {}
    for path in sorted(present - refused):
        entry, problem = _read_file(folder, path, hashes[path] if hashes is not None else None)
        if problem:
            problems.append(problem)
        else:
            found[path] = entry
    return _check_content(folder, present, found, problems)


def _list(folder: Path, problems: list[Problem]) -> set[str]:
    """Paths of the plain files, one folder deep; anything else is a problem."""
    paths: set[str] = set()
    for item in sorted(folder.iterdir()):
        if item.name in IGNORED:
            continue
        inner = sorted(item.iterdir()) if stat.S_ISDIR(item.lstat().st_mode) else []
        for one in inner or [item]:
            name = str(one.relative_to(folder))
            if stat.S_ISREG(one.lstat().st_mode):
                paths.add(name)
            else:
                message = (
                    f"Remove {name!r}: a release holds plain files, no links, and one level of folders for images."
                )
                problems.append(Problem(name, "not_a_file", message))
    return paths


def _read_file(folder: Path, path: str, known: FileEntry | None) -> tuple[FileEntry, Problem | None]:
    """Size, first bytes and, of a text, its letters; hashed where it is not known."""
    with (folder / path).open("rb") as file:
        start = file.read(SNIFF_BYTES)
        entry = known or hash_rest(file, start, name=path)
    problem = check_size(path, entry.size) or check_start(path, start)
    if not problem and path in TEXTS:
        problem = _check_text(path, (folder / path).read_bytes())
    return entry, problem


def _check_text(path: str, data: bytes) -> Problem | None:
    try:
        is_text = "\0" not in data.decode()
    except UnicodeDecodeError:
        is_text = False
    return None if is_text else Problem(path, "bad_text", f"{path} is not text in UTF-8; save it as UTF-8.")


def _check_content(
    folder: Path, present: set[str], found: dict[str, FileEntry], problems: list[Problem]
) -> ManifestReport:
    """``found``: of ``present``, the files that can be looked into."""
    architecture, adapter = None, None
    is_adapter = bool(present & {ADAPTER_CONFIG, ADAPTER_WEIGHTS})
    if is_adapter:
        check_small_files(folder, found, None, problems)
        adapter = read_adapter(folder, present, found, count_tokens(folder, found, problems), problems)
    elif present:
        if "config.json" not in present:
            message = "config.json is missing; `model.save_pretrained(folder)` writes it."
            problems.append(Problem("config.json", "missing", message))
        architecture = check_config(folder, found, problems)
        check_small_files(folder, found, architecture, problems)
        check_weights(folder, present, found, architecture, problems)
        check_tokenizer(folder, present, found, architecture, problems)
    elif not problems:
        problems.append(Problem("", "no_files", "There are no files; `model.save_pretrained(folder)` writes them."))
    return ManifestReport(
        files=tuple(found[path] for path in sorted(found)),
        architecture=architecture.name if architecture else None,
        parameters=architecture.parameters if architecture else adapter.parameters if adapter else None,
        context_length=architecture.context_length if architecture else None,
        vocab_size=architecture.vocab_size if architecture else None,
        task=architecture.task if architecture else "text-generation" if adapter else None,
        adapter=adapter,
        problems=tuple(problems),
    )
