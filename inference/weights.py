"""Fetches a release from the store into a folder of this machine, and lets nobody open it before every byte was checked.

A release lies under ``cache/<hex of its digest>`` or not at all: it is fetched beside, checked, and renamed into place. What is there
was checked, so a second pull costs one look. Two processes that pull the same release take turns.
"""

from __future__ import annotations

import fcntl
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import httpx2
from huggingface_hub import HfApi, constants, snapshot_download
from huggingface_hub.utils.tqdm import disable_progress_bars

from inference import wire
from inference.errors import DigestMismatch, PullFailed
from inference.manifest import check_path, hash_file, release_digest

PROGRESS_INTERVAL_S: Final = 0.5
SPARE_BYTES: Final = 256 * 1024 * 1024  # disk that a pull leaves free
LISTING_TIMEOUT_S: Final = 30.0


def pull_release(ref: wire.ReleaseRef, cache: Path, *, on_progress: Callable[[float], None] | None = None) -> Path:
    """Returns the folder of a release, after fetching what is not there yet; an interrupted pull fetches no file again that had arrived.

    ``on_progress`` hears the fetched share, 0 to 1, from another thread while files arrive. Raises
    :class:`inference.errors.PullFailed` (try again later) and :class:`inference.errors.DigestMismatch` (never these files).
    """
    name = _folder_name(ref)
    target, partial = cache / name, cache / ".partial" / name
    if target.is_dir():
        return target
    partial.mkdir(parents=True, exist_ok=True)
    with _alone(cache / ".partial" / f"{name}.lock"):
        if target.is_dir():  # another process was faster
            return target
        partial.mkdir(exist_ok=True)
        _check_disk(ref, partial)
        with _progress(partial, ref.size, on_progress):
            _fetch(ref, partial)
        _check(ref, partial)
        partial.rename(target)
    return target


def _folder_name(ref: wire.ReleaseRef) -> str:
    if not re.fullmatch(r"sha256:[0-9a-f]{64}", ref.digest):
        raise PullFailed(f"{ref.repo_id} has the malformed digest {ref.digest[:80]!r}")
    return ref.digest.removeprefix("sha256:")


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Only one process, and one thread of it, at a time. The lock goes when the file is closed, also by a kill."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _check_disk(ref: wire.ReleaseRef, partial: Path) -> None:
    missing = ref.size - _size(partial)
    free = shutil.disk_usage(partial).free
    if missing + SPARE_BYTES > free:
        raise PullFailed(f"{ref.repo_id} needs {missing} more bytes of disk, and {free} are free")


def _fetch(ref: wire.ReleaseRef, partial: Path) -> None:
    constants.HF_HUB_DISABLE_XET = True  # the store serves plain HTTP; Xet would not fall back to it
    disable_progress_bars()
    try:
        # Asked first, because snapshot_download takes whatever is in the folder for the answer when the store is away.
        found = HfApi(endpoint=ref.endpoint, token=ref.token).model_info(
            ref.repo_id, revision=ref.digest, timeout=LISTING_TIMEOUT_S
        )
        names = [sibling.rfilename for sibling in found.siblings or ()]
        snapshot_download(
            ref.repo_id,
            revision=ref.digest,
            endpoint=ref.endpoint,
            token=ref.token,
            local_dir=partial,
            cache_dir=partial / ".cache",
            allow_patterns=[name for name in names if check_path(name) is None],
        )
    except (OSError, httpx2.HTTPError) as error:
        raise PullFailed(f"{ref.repo_id} could not be fetched: {type(error).__name__}: {error}") from error


def _check(ref: wire.ReleaseRef, partial: Path) -> None:
    """Hashes every file. What is not the release is deleted."""
    shutil.rmtree(partial / ".cache", ignore_errors=True)
    items = {item.relative_to(partial).as_posix(): item for item in partial.rglob("*") if not _is_folder(item)}
    plain = all(item.is_file() and not item.is_symlink() and check_path(path) is None for path, item in items.items())
    files = (hash_file(item, name=path) for path, item in items.items())
    found = release_digest(files) if plain else "files that no release holds"
    if found != ref.digest:
        shutil.rmtree(partial)
        raise DigestMismatch(f"{ref.repo_id} should be {ref.digest} and turned out to be {found}; it was deleted")


def _is_folder(item: Path) -> bool:
    return item.is_dir() and not item.is_symlink()


def _size(folder: Path) -> int:
    """Bytes of all files, those in the middle of arriving included."""
    total = 0
    for item in folder.rglob("*"):
        try:
            total += item.stat().st_size if item.is_file() else 0
        except FileNotFoundError:  # renamed while we look
            continue
    return total


@contextmanager
def _progress(folder: Path, size: int, on_progress: Callable[[float], None] | None) -> Iterator[None]:
    """Tells how full the folder is, until the block ends; 1.0 at its end."""
    if on_progress is None:
        yield
        return
    done = threading.Event()

    def watch() -> None:
        while not done.wait(PROGRESS_INTERVAL_S):
            on_progress(min(_size(folder) / max(size, 1), 1.0))

    thread = threading.Thread(target=watch, name="pull progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
    on_progress(1.0)
