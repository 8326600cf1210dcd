"""Models of another Hub are fetched: see ``store.catalog.actions.imports``. The child that talks to it is ``workers.snapshot``."""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO, Any, cast

from celery import shared_task
from django.conf import settings
from django.db import transaction

from inference.manifest import FileEntry, hash_file
from store.catalog.actions.commits import AddFile, Change, DeleteFile, files_at
from store.catalog.actions.imports import (
    begin_import,
    due_imports,
    fail_import,
    finish_import,
    is_own,
    keep_imported,
    note_progress,
    reserve_import,
)
from store.catalog.actions.repositories import commit_at, commit_files
from store.catalog.blobs import take_file
from store.catalog.leases import kept
from store.catalog.models import ImportJob
from store.errors import StoreError
from store.outbox import send_after_commit
from workers.slots import long_work

LOOK_EVERY_S = 1.0  # how far it is, and whether it was cancelled
SPARE_BYTES = 1024**3  # of the disk, for everybody else
SHORT_OID = 12

logger = logging.getLogger(__name__)


class Failed(Exception):
    """The import cannot be done. The message is a sentence for the provider."""


class CutOff(Exception):
    """Not now: the next attempt goes on from here."""


@shared_task(name="import.model")
def import_model(job_id: int) -> None:
    """Fetches one model, if its time has come."""
    with long_work() as has_room:
        job = begin_import(job_id) if has_room else None
        if job is None:
            return
        folder = folder_of(job.pk)
        folder.mkdir(parents=True, exist_ok=True)
        try:
            with kept(is_own(job)) as lost:
                files = _download(job, folder, lost)
                if files is not None:
                    _commit(job, folder, files)
        except (Failed, StoreError) as error:
            fail_import(job, str(error))
        except CutOff as error:
            logger.warning("import %s is cut off: %s", job.pk, error)
            note_progress(job, error=str(error))
            return
        shutil.rmtree(folder, ignore_errors=True)


@shared_task(name="import.due")
def send_due_imports() -> None:
    """Sends again what was lost or died with its worker, and sweeps up behind what was cancelled meanwhile."""
    for job_id in due_imports():
        send_after_commit("import.model", job_id)
    for folder in folder_of(0).parent.glob("*"):
        if not ImportJob.objects.filter(pk=int(folder.name), ended_at=None).exists():
            shutil.rmtree(folder, ignore_errors=True)


def folder_of(job_id: int) -> Path:
    """Where the files of an import lie on their way; they stay for the next attempt where this one is cut off."""
    return Path(settings.DATA_DIR) / "imports" / str(job_id)


def _download(job: ImportJob, folder: Path, lost: threading.Event) -> dict[str, str] | None:
    """Path -> SHA-256 as the other Hub names it, or "". None where it was cancelled. Raises Failed and CutOff."""
    environment = {
        "PATH": os.defpath, "LANG": "C.UTF-8", "PYTHONPATH": str(settings.BASE_DIR), "HF_HOME": str(folder / ".home"),
        "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    }  # fmt: skip
    command = [sys.executable, "-m", "workers.snapshot"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, env=environment, cwd="/", text=True, **pipes) as child:  # type: ignore[call-overload]
        try:
            return _follow(job, folder, child, lost)
        finally:
            child.kill()


def _follow(job: ImportJob, folder: Path, child: subprocess.Popen[str], lost: threading.Event) -> dict[str, str] | None:
    wanted = {
        "endpoint": job.endpoint, "token": settings.IMPORT_TOKEN, "repo_id": job.repo_id, "folder": str(folder),
        "revision": job.resolved or job.revision,
    }  # fmt: skip
    said = _ask(child, wanted)
    files: dict[str, list[Any]] = said["files"]
    total = sum(size for size, _sha256 in files.values())
    _check_room(total, max(size for size, _sha256 in files.values()))
    reserve_import(job, {sha256 or path: size for path, (size, sha256) in files.items()})
    note_progress(job, resolved=said["resolved"], total_bytes=total)
    job.resolved = said["resolved"]
    _tell(child, "go")
    while True:
        try:
            child.wait(LOOK_EVERY_S)
        except subprocess.TimeoutExpired:
            if lost.is_set() or not note_progress(job, done_bytes=min(total, _bytes_in(folder))):
                return None
            continue
        _heard(cast("IO[str]", child.stdout).readline())
        if child.returncode != 0:
            raise CutOff("The download was broken off.")
        return {path: sha256 for path, (_size, sha256) in files.items()}


def _ask(child: subprocess.Popen[str], wanted: dict[str, str]) -> dict[str, Any]:
    _tell(child, wanted)
    said = _heard(cast("IO[str]", child.stdout).readline())
    if "files" not in said:
        raise CutOff("The download was broken off.")
    return said


def _tell(child: subprocess.Popen[str], message: Any) -> None:
    """A child that has died already is noticed by what it does not say."""
    pipe = cast("IO[str]", child.stdin)
    try:
        pipe.write(json.dumps(message) + "\n")
        pipe.flush()
    except BrokenPipeError:
        logger.info("the child is gone")


def _heard(line: str) -> dict[str, Any]:
    """Raises Failed and CutOff where the child says so."""
    said: dict[str, Any] = json.loads(line) if line else {}
    if "error" in said:
        raise (Failed if said["is_final"] else CutOff)(said["error"])
    return said


def _check_room(total: int, largest: int) -> None:
    """Before a byte is fetched."""
    if largest > settings.MAX_FILE_BYTES:
        raise Failed(f"A file has {largest / 1e9:.1f} GB; {settings.MAX_FILE_BYTES / 1e9:.1f} GB are the most.")
    if shutil.disk_usage(settings.DATA_DIR).free < total + SPARE_BYTES:
        raise Failed("The store has no room for this now. Try again later.")


def _bytes_in(folder: Path) -> int:
    """What has arrived, half files included."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except FileNotFoundError:  # renamed meanwhile
            continue
    return total


def _commit(job: ImportJob, folder: Path, files: dict[str, str]) -> None:
    """Keeps the files, and makes them the state of ``main``. Raises Failed, StoreError."""
    entries = [hash_file(folder / path, name=path) for path in sorted(files)]
    changed = [entry.path for entry in entries if files[entry.path] not in ("", entry.sha256)]
    if changed:
        raise Failed(f"{changed[0]} is not what the other Hub says it is. Start the import again.")
    for entry in sorted(entries, key=lambda one: one.sha256):
        take_file(entry, folder / entry.path)
        keep_imported(job, sha256=entry.sha256, size=entry.size)
    title = f"Import {job.repo_id} at {job.resolved[:SHORT_OID]}"
    note_progress(job, done_bytes=sum(entry.size for entry in entries))
    with transaction.atomic():
        commit = commit_files(listing=job.listing, user=job.created_by, changes=_changes(job, entries), title=title)
        finish_import(job, commit)


def _changes(job: ImportJob, entries: list[FileEntry]) -> list[Change]:
    """``main`` becomes what was fetched: what it had besides goes."""
    head = commit_at(job.listing, "main")
    fetched = {entry.path for entry in entries}
    gone = [file.path for file in files_at(head) if file.path not in fetched] if head else []
    return [*(DeleteFile(path) for path in gone), *(AddFile(entry.path, entry.sha256) for entry in entries)]
