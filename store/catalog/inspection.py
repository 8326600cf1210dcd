"""Opens a provider's files for the first time: in a child process with little memory and time, no network, and nothing of ours in it.

The child is ``store.catalog.reader``. Whatever happens to it, the store goes on, and the provider hears a sentence.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import struct
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import IO, Any

from django.conf import settings
from django.core.files.storage import FileSystemStorage, default_storage

from inference.isolation import Limits
from inference.manifest import Adapter, FileEntry, Problem, check_paths
from store.catalog.card import Card
from store.catalog.models import Blob, Commit

BYTES_PER_S = 20 * 1024**2  # the slowest disk that we wait for
BASE_TIMEOUT_S = 90
TOKENIZER_S = 20  # of the processor: to load the tokenizer, and again to read long texts; a good one needs about one
ANSWER_BYTES = 64 * 1024**2  # more than a card of its largest size and a thousand files take
MAX_HEADER_BYTES = 64 * 1024**2  # of a safetensors file; the child refuses less
INSTALLED = Path(__file__).resolve().parent.parent.parent  # where ``store`` and ``inference`` are imported from

# The stage that the child died in -> file, code, and what it was that took too much.
DEATHS = {
    "files": ("", "timeout", "Reading these files"),
    "card": ("README.md", "bad_card", "Reading README.md"),
    "tokenizer": ("tokenizer.json", "bad_tokenizer", "Loading tokenizer.json"),
    "long texts": ("tokenizer.json", "slow_tokenizer", "Reading 100000 characters with tokenizer.json"),
    "chat template": ("chat_template.jinja", "bad_template", "Rendering the chat template"),
}

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Inspection:
    """What a folder holds. It can be published where ``problems`` is empty: then the numbers are those of the model.

    Of an adapter, ``parameters`` are those it adds; architecture, context length and vocabulary are empty, for they are its base's.
    """

    files: tuple[FileEntry, ...]
    digest: str
    architecture: str
    parameters: int
    context_length: int  # tokens
    vocab_size: int
    task: str  # the Hub's pipeline tag
    adapter: Adapter | None  # with its base's digest
    has_held_out: bool
    has_chat_template: bool
    card: Card
    problems: tuple[Problem, ...]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)

    @property
    def base_digest(self) -> str:
        """Of an adapter's base, "sha256:<64 hex>"; "" for full weights."""
        return self.adapter.base_digest if self.adapter else ""

    @classmethod
    def refused(cls, *problems: Problem) -> Inspection:
        """Nothing can be said of the files but why they are refused."""
        return cls(
            files=(), digest="", architecture="", parameters=0, context_length=0, vocab_size=0, task="", adapter=None,
            has_held_out=False, has_chat_template=False, card=Card(), problems=problems,
        )  # fmt: skip


def inspect(folder: Path) -> Inspection:
    """Inspects a folder; every byte is read once. Raises OSError where it cannot be listed."""
    size = sum(item.stat().st_size for item in folder.rglob("*") if item.is_file())
    return _ask_child(folder.resolve(), None, timeout_s=BASE_TIMEOUT_S + size / BYTES_PER_S)


def inspect_commit(commit: Commit) -> Inspection:
    """Inspects a commit where its files lie. Their hashes are known, so of weights only the headers are read. Raises OSError."""
    rows = commit.files.select_related("blob")
    return inspect_stored([FileEntry(row.path, row.blob.size, row.blob.sha256) for row in rows])


def inspect_stored(entries: Iterable[FileEntry]) -> Inspection:
    """Inspects files that the storage holds. Raises OSError where it does not."""
    files = {entry.path: entry for entry in entries}
    refused = check_paths(files)
    if refused:
        return Inspection.refused(*refused)
    with TemporaryDirectory(prefix="inspection-") as name:
        folder = Path(name)
        for entry in files.values():
            _lay_out(entry, folder / entry.path)
        return _ask_child(folder, files, timeout_s=BASE_TIMEOUT_S)


def _lay_out(entry: FileEntry, target: Path) -> None:
    """A link to the file where the storage is a folder. Else a copy; of weights only the header, and a hole after it."""
    stored = Blob(sha256=entry.sha256).storage_name
    target.parent.mkdir(exist_ok=True)
    if isinstance(default_storage, FileSystemStorage):
        target.symlink_to(default_storage.path(stored))
        return
    with default_storage.open(stored) as source, target.open("xb") as out:
        if not entry.path.endswith(".safetensors"):
            shutil.copyfileobj(source, out)
            return
        prefix = source.read(8)
        length = struct.unpack("<Q", prefix)[0] if len(prefix) == 8 else 0
        out.write(prefix + source.read(min(length, MAX_HEADER_BYTES)))
        out.truncate(entry.size)


def _ask_child(folder: Path, files: dict[str, FileEntry] | None, *, timeout_s: float) -> Inspection:
    limits = Limits(memory_bytes=settings.CHECK_MEMORY_BYTES, cpu_s=int(timeout_s) + 1, file_bytes=ANSWER_BYTES)
    known = {path: asdict(entry) for path, entry in files.items()} if files is not None else None
    job = json.dumps(
        {"folder": str(folder), "files": known, "limits": asdict(limits), "tokenizer_s": TOKENIZER_S}
    ).encode()
    # Answers go to files, which the child's limits bound, and not to pipes, which this process would have to hold.
    with TemporaryFile() as answer, TemporaryFile() as complaint:
        status = _run_child(job, answer, complaint, timeout_s=timeout_s)
        said = list(_messages(answer))
        complaint.seek(0)
        last = complaint.read(100_000).decode(errors="replace").strip().rpartition("\n")[2]
    if said and said[0].get("isolation") == "":
        logger.warning(
            "this machine allows no network namespace: provider's files are opened with the network in reach"
        )
    if status == 0 and said and "found" in said[-1]:
        return _inspection(said[-1]["found"])
    stage = next((message["stage"] for message in reversed(said) if "stage" in message), "files")
    logger.info("the child died over %s with %s: %s", stage, status, last[:500])
    return Inspection.refused(_death(stage, status, last))


def _run_child(job: bytes, answer: IO[bytes], complaint: IO[bytes], *, timeout_s: float) -> int | None:
    """Its exit status, negative for a signal; None where it took too long and was killed."""
    environment = {
        "PATH": os.defpath,
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(INSTALLED),
        "TOKENIZERS_PARALLELISM": "false",
    }
    try:
        return subprocess.run(
            [sys.executable, "-m", "store.catalog.reader"],
            input=job,
            stdout=answer,
            stderr=complaint,
            env=environment,
            timeout=timeout_s,
            check=False,
            cwd="/",
            start_new_session=True,
        ).returncode
    except subprocess.TimeoutExpired:
        return None


def _messages(answer: IO[bytes]) -> Iterator[dict[str, Any]]:
    """Whole lines; the last one is half where the child died."""
    answer.seek(0)
    for line in answer:
        if line.endswith(b"\n"):
            yield json.loads(line)


def _death(stage: str, status: int | None, last: str) -> Problem:
    path, code, what = DEATHS[stage]
    if status is None or status in (-signal.SIGPROF, -signal.SIGXCPU, -signal.SIGKILL):
        return Problem(
            path, code, f"{what} took too long. Save the model again with `save_pretrained`, and upload that."
        )
    if "MemoryError" in last or "memory allocation" in last or status == -signal.SIGABRT:
        message = (
            f"{what} took more memory than is given to it. Make it smaller, or save it again with `save_pretrained`."
        )
        return Problem(path, "too_much_memory", message)
    return Problem(path, "crashed", f"{what} failed: {last[:300] or f'the reader ended with {status}'}.")


def _inspection(found: dict[str, Any]) -> Inspection:
    card: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in found["card"].items()
    }
    adapter = found["adapter"]
    if adapter:
        modules = {name: (wide, high) for name, (wide, high) in adapter["modules"].items()}
        adapter = Adapter(**{**adapter, "modules": modules})
    return Inspection(
        **{
            **found,
            "card": Card(**card),
            "adapter": adapter,
            "files": tuple(FileEntry(**file) for file in found["files"]),
            "problems": tuple(Problem(**problem) for problem in found["problems"]),
        }
    )
