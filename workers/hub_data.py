"""Data sets of another Hub are read: see ``store.tuning.actions.imports``. The child that talks to it is ``inference.training.data.hub``."""

from __future__ import annotations

import json
import logging
import os
import selectors
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from celery import shared_task
from django.conf import settings

from inference.isolation import Limits
from store.catalog.leases import kept
from store.errors import StoreError
from store.outbox import send_after_commit
from store.tuning.actions.imports import (
    due_data_imports,
    fail_data_import,
    finish_data_import,
    most_bytes,
    owned,
    take_data_import,
)
from store.tuning.models import DataImport
from workers.slots import long_work

LOOK_EVERY_S = 1.0  # whether it was cancelled
SPARE_BYTES = 1024**3  # of the disk, for everybody else
CPU_S = 24 * 3600
OPEN_FILES = 1024

logger = logging.getLogger(__name__)


class Failed(Exception):
    """It cannot be imported. The message is a sentence for who asked."""


class CutOff(Exception):
    """Not now: the next attempt begins again."""


@shared_task(name="data.import")
def import_data(import_id: int) -> None:
    """Reads one data set, if its time has come."""
    with long_work() as has_room:
        taken = take_data_import(import_id) if has_room else None
        if taken is None:
            return
        root = Path(settings.DATA_DIR) / "imports-data"
        root.mkdir(parents=True, exist_ok=True)
        folder = Path(mkdtemp(prefix=f"{os.getpid()}-", dir=root))
        try:
            with kept(owned(taken)) as lost:
                if _read(taken, folder, lost):
                    finish_data_import(taken, folder / "rows.jsonl")
        except (Failed, StoreError) as error:
            fail_data_import(taken, str(error))
        except CutOff as error:
            logger.warning("import %s is cut off: %s", taken.public_id, error)
            owned(taken).update(error=str(error))
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@shared_task(name="data.imports_due")
def send_due_data_imports() -> None:
    """Sends again what was lost or died with its worker, and sweeps up behind the dead."""
    for import_id in due_data_imports():
        send_after_commit("data.import", import_id)
    for folder in (Path(settings.DATA_DIR) / "imports-data").glob("*-*"):
        owner = folder.name.partition("-")[0]
        if owner.isdigit() and not Path(f"/proc/{owner}").exists():
            shutil.rmtree(folder, ignore_errors=True)


def _read(taken: DataImport, folder: Path, lost: threading.Event) -> bool:
    """Whether all of it has come; False where it was cancelled. Raises Failed and CutOff."""
    if find_spec("datasets") is None:
        raise Failed(
            "This store's workers cannot read other Hubs: `datasets` is not installed (requirements/data.txt)."
        )
    room = shutil.disk_usage(folder).free - SPARE_BYTES
    limits = Limits(memory_bytes=settings.IMPORT_MEMORY_BYTES, cpu_s=CPU_S, file_bytes=None, open_files=OPEN_FILES)
    job = {
        "token": settings.IMPORT_TOKEN, "repo_id": taken.repo_id, "config": taken.config,
        "split": taken.split, "revision": taken.resolved or taken.revision, "most_rows": taken.most_rows,
        "most_bytes": min(most_bytes(taken), max(0, room)), "path": str(folder / "rows.jsonl"), "limits": asdict(limits),
    }  # fmt: skip
    environment = {
        "HF_ENDPOINT": taken.endpoint, "USE_TORCH": "0", "USE_TF": "0", "USE_JAX": "0",
        "PATH": os.defpath, "LANG": "C.UTF-8", "PYTHONPATH": str(settings.BASE_DIR), "HF_HOME": str(folder / "home"),
        "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1",
    }  # fmt: skip
    with subprocess.Popen(
        [sys.executable, "-m", "inference.training.data.hub"], env=environment, cwd="/",
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    ) as child:  # fmt: skip
        try:
            return _follow(taken, child, job, lost)
        finally:
            child.kill()


def _follow(taken: DataImport, child: subprocess.Popen[bytes], job: dict[str, Any], lost: threading.Event) -> bool:
    assert child.stdin
    child.stdin.write(json.dumps(job).encode() + b"\n")
    child.stdin.flush()  # and stays open: the child ends when it closes
    for said in _lines(child):
        if said is None:
            if lost.is_set() or not owned(taken).exists():
                return False
        elif "error" in said:
            raise (Failed if said["is_final"] else CutOff)(said["error"])
        elif said.get("done"):
            return True
        elif not owned(taken).update(**said):
            return False
    raise CutOff("Reading it was broken off.")


def _lines(child: subprocess.Popen[bytes]) -> Iterator[dict[str, Any] | None]:
    """What it says, until it ends; None where it has said nothing for LOOK_EVERY_S."""
    assert child.stdout
    rest = b""
    with selectors.DefaultSelector() as selector:
        selector.register(child.stdout, selectors.EVENT_READ)
        while True:
            if not selector.select(LOOK_EVERY_S):
                yield None
                continue
            chunk = os.read(child.stdout.fileno(), 65_536)
            if not chunk:
                return
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                yield json.loads(line)
