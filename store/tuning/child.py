"""Talks with the child that reads training data (``inference.training.data``): with little memory, no network, and nothing of ours in it.

Whatever happens to it, the store goes on, and the file's owner hears a sentence.
"""

from __future__ import annotations

import json
import logging
import os
import selectors
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryFile
from typing import IO, Any

from django.conf import settings
from django.core.files.storage import FileSystemStorage, default_storage

from inference.isolation import Limits
from store.catalog.models import Blob
from store.tuning.models import DataFile

SILENT_S = 120.0  # it speaks every half second, unless one record takes longer
CPU_BASE_S, CPU_BYTES_PER_S = 600, 20_000  # the slowest tokenizer that we wait for
COMPLAINT_BYTES = 1024**2
PIPE_BYTES = 65_536
INSTALLED = Path(__file__).resolve().parent.parent.parent  # where ``inference`` is imported from

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a file cannot be used; ``line`` 0: all of it."""

    line: int
    code: str
    message: str


class ChildStopped(Exception):
    """Nobody wants to know any more: the file was deleted, or another attempt has it."""


def ask_child(
    file: DataFile,
    path: Path,
    *,
    encoder: Mapping[str, Any] | None = None,
    take: Callable[[dict[str, Any]], bool],
) -> Refusal | None:
    """Runs the child over a file. ``take`` gets every message, and says whether it is wanted to go on.

    ``encoder``: the folder of a base, and ``max_length``; then tokens are counted. Returns why the file is refused, or None where it
    has been read to its end. Raises ChildStopped and OSError.
    """
    cpu_s = CPU_BASE_S + file.size // CPU_BYTES_PER_S
    limits = Limits(memory_bytes=settings.CHECK_MEMORY_BYTES, cpu_s=cpu_s, file_bytes=COMPLAINT_BYTES)
    job = {"path": str(path), "filename": file.filename, "format": file.format, "mapping": file.mapping}
    job |= {"limits": asdict(limits), "encoder": encoder}
    with TemporaryFile() as complaint, _started(job, complaint) as process:
        for message in _messages(process):
            if message.get("done"):
                return None
            if "refused" in message:
                return Refusal(**message["refused"])
            if message.get("isolation") == "":
                logger.warning(
                    "this machine allows no network namespace: training data is read with the network in reach"
                )
            elif "isolation" not in message and not take(message):
                raise ChildStopped
        process.kill()
        return _death(file, process.wait(), complaint)


@contextmanager
def local(blob: Blob) -> Iterator[Path]:
    """A path to the content: where it lies, or a copy that lives as long as the block. Raises OSError."""
    if isinstance(default_storage, FileSystemStorage):
        yield Path(default_storage.path(blob.storage_name))
        return
    with NamedTemporaryFile(prefix="data-") as copy:
        with default_storage.open(blob.storage_name) as source:
            shutil.copyfileobj(source, copy)
        copy.flush()
        yield Path(copy.name)


@contextmanager
def _started(job: dict[str, Any], complaint: IO[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    environment = {
        "PATH": os.defpath, "LANG": "C.UTF-8", "PYTHONPATH": str(INSTALLED), "TOKENIZERS_PARALLELISM": "false", "OMP_NUM_THREADS": "1",
    }  # fmt: skip
    with subprocess.Popen(
        [sys.executable, "-m", "inference.training.data"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=complaint, env=environment, cwd="/", start_new_session=True,
    ) as process:  # fmt: skip
        try:
            assert process.stdin
            process.stdin.write(json.dumps(job).encode())
            process.stdin.close()
            yield process
        finally:
            process.kill()


def _messages(process: subprocess.Popen[bytes]) -> Iterator[dict[str, Any]]:
    """Its whole lines, until it ends or has been silent for SILENT_S."""
    assert process.stdout
    said = b""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        until = time.monotonic() + SILENT_S
        while selector.select(max(until - time.monotonic(), 0)):
            chunk = os.read(process.stdout.fileno(), PIPE_BYTES)
            if not chunk:
                process.wait()
                return
            *lines, said = (said + chunk).split(b"\n")
            for line in lines:
                until = time.monotonic() + SILENT_S
                yield json.loads(line)


def _death(file: DataFile, status: int, complaint: IO[bytes]) -> Refusal:
    complaint.seek(0)
    last = complaint.read(COMPLAINT_BYTES).decode(errors="replace").strip().rpartition("\n")[2]
    logger.info("the child died over %s with %s: %s", file.public_id, status, last[:500])
    if "MemoryError" in last or "malloc" in last or "memory allocation" in last or status == -signal.SIGABRT:
        return Refusal(
            0,
            "too_much_memory",
            "Reading it took more memory than is given to it. Use shorter rows, or smaller row groups.",
        )
    if status in (-signal.SIGKILL, -signal.SIGXCPU):
        return Refusal(0, "timeout", "Reading it took too long. Split it into several files.")
    return Refusal(0, "crashed", f"Reading it failed: {last[:300] or f'the reader ended with {status}'}.")
