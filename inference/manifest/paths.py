"""Which files may be in a release, by their names and by their first bytes. Standard library only."""

from __future__ import annotations

import re
from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Final

from inference.manifest.entries import Problem
from inference.manifest.remedies import CONVERT, CONVERT_GGUF

INDEX: Final = "model.safetensors.index.json"
ADAPTER_CONFIG: Final = "adapter_config.json"
ADAPTER_WEIGHTS: Final = "adapter_model.safetensors"
HELD_OUT: Final = "held_out.txt"  # a text that the model has not seen: its perplexity is measured on it
IMAGES: Final = ("*.png", "*.jpg", "*.jpeg", "*.gif", "*.webp")  # for the card; also in one folder, `assets/plot.png`
IGNORED: Final = (".gitattributes", ".gitignore", ".git", ".cache")  # may lie in a folder, are never part of a release
TEXTS: Final = (
    "README.md", "LICENSE", "LICENSE.md", "LICENSE.txt", "NOTICE", "NOTICE.md", "NOTICE.txt", "USE_POLICY.md",
    "chat_template.jinja", "vocab.txt", "merges.txt", HELD_OUT,
)  # fmt: skip
ALLOWED: Final = (
    "*.safetensors", INDEX, "config.json", "generation_config.json", ADAPTER_CONFIG, "tokenizer.json",
    "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.json", "tokenizer.model", "numbers.json",
    *TEXTS, *IMAGES,
)  # fmt: skip
PICKLED: Final = ("*.bin", "*.pt", "*.pth", "*.pkl", "*.pickle", "*.ckpt", "*.joblib", "*.npy", "*.npz")
LEFT_BY_TRAINING: Final = ("training_args.bin", "optimizer.*", "scheduler.*", "scaler.*", "rng_state*")
ARCHIVES: Final = ("*.zip", "*.tar", "*.tgz", "*.gz", "*.bz2", "*.xz", "*.zst", "*.7z", "*.rar", "*.whl")
ARCHIVE_STARTS: Final = (
    b"PK\x03\x04", b"PK\x05\x06", b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd", b"7z\xbc\xaf\x27\x1c", b"Rar!\x1a\x07",
)  # fmt: skip
IMAGE_STARTS: Final = {
    "png": (b"\x89PNG\r\n\x1a\n",), "jpg": (b"\xff\xd8\xff",), "jpeg": (b"\xff\xd8\xff",), "gif": (b"GIF87a", b"GIF89a"),
    "webp": (b"RIFF",),
}  # fmt: skip
MIB: Final = 1024 * 1024
MAX_BYTES: Final = {
    "tokenizer.json": 128 * MIB, INDEX: 32 * MIB, "vocab.json": 32 * MIB, "vocab.txt": 32 * MIB, "merges.txt": 32 * MIB,
    "tokenizer.model": 32 * MIB, HELD_OUT: 16 * MIB, "README.md": MIB,
}  # fmt: skip
MAX_TEXT_BYTES: Final = 4 * MIB  # images, too, and every file without a line above; weights have no limit here
MAX_FILES: Final = 1_000
MAX_PATH_CHARS: Final = 120
NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")


def is_image(path: str) -> bool:
    return any(fnmatchcase(path.lower(), pattern) for pattern in IMAGES)


def check_path(path: str) -> Problem | None:
    """Whether a file of this name may be in a release at all; asked before a byte of it is accepted."""
    folder, _slash, name = path.rpartition("/")
    parts = [folder, name] if _slash else [name]
    if len(path) > MAX_PATH_CHARS or not all(NAME.fullmatch(part) for part in parts):
        wanted = f"letters, digits, dot, dash and underscore, {MAX_PATH_CHARS} at most, and one folder at most"
        return Problem(path, "bad_path", f"Rename {_shown(path)}: a file's name has {wanted}.")
    if any(fnmatchcase(name.lower(), pattern) for pattern in PICKLED):
        return _pickled(path)
    if fnmatchcase(name.lower(), "*.gguf"):
        return _gguf(path)
    if any(fnmatchcase(name.lower(), pattern) for pattern in ARCHIVES):
        return _archive(path)
    if folder and not is_image(name):
        message = f"Move {path} out of its folder: only images may lie in one."
        return Problem(path, "bad_path", message)
    if not is_image(name) and not any(fnmatchcase(name, pattern) for pattern in ALLOWED):
        what = "safetensors weights, config.json, tokenizer files, README.md, images for it and a licence"
        return Problem(path, "not_allowed", f"Remove {path}: a release holds {what}. Code of a release is never run.")
    return None


def check_paths(paths: Iterable[str]) -> list[Problem]:
    """What is wrong with the names of a whole release: each by itself, their number, and names that some disks take for one."""
    ordered = sorted(paths)
    if len(ordered) > MAX_FILES:
        message = (
            f"There are {len(ordered)} files; a release has {MAX_FILES} at most. Upload the model's own files only."
        )
        return [Problem("", "too_many_files", message)]
    seen: dict[str, str] = {}
    problems: list[Problem] = []
    for path in ordered:
        other = seen.setdefault(path.casefold(), path)
        if other != path:
            message = f"Rename {_shown(path)}: it differs from {_shown(other)} by capital letters only."
            problems.append(Problem(path, "case_collision", message))
        if problem := check_path(path):
            problems.append(problem)
    folders = {path.split("/")[0].casefold() for path in seen.values() if "/" in path}
    problems += [
        Problem(seen[path], "case_collision", f"Rename {seen[path]}: there is a folder of this name.")
        for path in sorted(folders & seen.keys())
    ]
    return problems


def check_size(path: str, size: int) -> Problem | None:
    """``size`` in bytes. Weights may be of any size here; the store has a limit of its own for every file."""
    if size == 0:
        return Problem(path, "empty", f"{path} is empty; upload it again, or remove it.")
    limit = MAX_BYTES.get(path, MAX_TEXT_BYTES)
    if size > limit and not path.endswith(".safetensors"):
        message = f"{path} has {size} bytes; {limit} are the most that is read. Make it smaller, or remove it."
        return Problem(path, "too_large", message)
    return None


def check_start(path: str, start: bytes) -> Problem | None:
    """Looks at the first bytes (512, or all there are): what goes by another name is refused."""
    if start[5:9] == b"\0\0\0{":  # a safetensors header: its length may begin like a pickle or an archive
        return None
    if len(start) > 1 and start[0] == 0x80 and 2 <= start[1] <= 5:
        return _pickled(path)
    if start.startswith(b"GGUF"):
        return _gguf(path)
    if start.startswith(ARCHIVE_STARTS) or start[257:262] == b"ustar":
        return _pickled(path) if _begins_with_pickle(start) else _archive(path)
    if start.startswith(b"version https://git-lfs"):
        message = f"{path} is a Git LFS pointer, not the file itself; run `git lfs pull` and upload again."
        return Problem(path, "lfs_pointer", message)
    kind = path.lower().rpartition(".")[2]
    if is_image(path) and not start.startswith(IMAGE_STARTS[kind]):
        return Problem(path, "bad_image", f"{path} is no {kind} image; save it again as one, or remove it.")
    return None


def _begins_with_pickle(start: bytes) -> bool:
    """What ``torch.save`` writes is a zip whose first member is ``<name>/data.pkl``."""
    length = int.from_bytes(start[26:28], "little")
    member = start[30 : 30 + length].decode("latin-1").lower()
    return any(fnmatchcase(member, pattern) for pattern in PICKLED)


def _shown(path: str) -> str:
    return repr(path[:MAX_PATH_CHARS]) if len(path) <= MAX_PATH_CHARS else f"{path[:40]!r}…"


def _pickled(path: str) -> Problem:
    if any(fnmatchcase(path.lower(), pattern) for pattern in LEFT_BY_TRAINING):
        return Problem(
            path, "pickle", f"Remove {path}: it is a pickle that training left behind, no part of the model."
        )
    message = (
        f"{path} is a pickle, which can run code when it is opened. Convert it on your own machine, in a copy of the store's "
        f"code (it reads with weights_only=True), and upload what is written:\n{CONVERT.format(path=path)}"
    )
    return Problem(path, "pickle", message)


def _gguf(path: str) -> Problem:
    message = (
        f"{path} is GGUF, which is made for other programs. Convert it in the folder it lies in, and upload what is written:\n"
        f"{CONVERT_GGUF.format(path=path)}"
    )
    return Problem(path, "gguf", message)


def _archive(path: str) -> Problem:
    message = f"{path} is an archive, and none is ever unpacked here. Unpack it, and upload the files that are in it."
    return Problem(path, "archive", message)
