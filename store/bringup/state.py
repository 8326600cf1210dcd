"""What is on disk about a running store: a lock that its supervisor holds while it lives, and the pids of what it started."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO

import psutil

PROBE_S = 0.1
CLOCK_SLACK_S = 2.0  # two readings of one process's start differ by no more; a reused pid's do


class AlreadyRunning(Exception):
    """Another supervisor holds the lock."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Started:
    """A process, known by more than its pid: pids are used again."""

    pid: int
    at: float  # unix time

    @classmethod
    def of(cls, pid: int) -> Started | None:
        """None where it is gone already."""
        try:
            return cls(pid=pid, at=psutil.Process(pid).create_time())
        except psutil.Error:
            return None

    def find(self) -> psutil.Process | None:
        """The process, if it is this one still and not merely a zombie."""
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.at) < CLOCK_SLACK_S and process.status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            return None
        return process if same else None


@dataclass(frozen=True, kw_only=True, slots=True)
class State:
    """``children`` by service. ``ready``: the first call was answered."""

    url: str
    ready: bool = False
    children: dict[str, list[Started]] = field(default_factory=dict)


class StateFile:
    """``supervisor.json`` and ``supervisor.lock`` in the data folder."""

    def __init__(self, data_dir: Path) -> None:
        self.path = data_dir / "supervisor.json"
        self.lock_path = data_dir / "supervisor.lock"

    @contextlib.contextmanager
    def hold(self) -> Iterator[None]:
        """Raises AlreadyRunning. The kernel lets go of the lock when the process dies, however it dies."""
        self.lock_path.parent.mkdir(parents=True, exist_ok=True)
        with self.lock_path.open("a+") as lock:
            if not _try_lock(lock, fcntl.LOCK_EX):
                time.sleep(PROBE_S)  # it may have been :meth:`holder`, which takes it for a moment
                if not _try_lock(lock, fcntl.LOCK_EX):
                    raise AlreadyRunning
            lock.truncate(0)
            json.dump(asdict(Started(pid=os.getpid(), at=psutil.Process().create_time())), lock)
            lock.flush()
            yield

    def holder(self) -> psutil.Process | None:
        """The supervisor that lives."""
        try:
            with self.lock_path.open() as lock:
                if _try_lock(lock, fcntl.LOCK_SH):
                    return None
                return Started(**json.load(lock)).find()
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def read(self) -> State | None:
        """The last word of a supervisor, which may be dead; None where there is none, or half of one."""
        try:
            said = json.loads(self.path.read_text())
            children = {name: [Started(**one) for one in all_] for name, all_ in said["children"].items()}
            return State(url=said["url"], ready=said["ready"], children=children)
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None

    def write(self, state: State) -> None:
        partial = self.path.with_name(f"{self.path.name}.{os.getpid()}")
        partial.write_text(json.dumps(asdict(state)))
        partial.replace(self.path)

    def clear(self) -> None:
        self.path.unlink(missing_ok=True)


def _try_lock(lock: IO[str], how: int) -> bool:
    try:
        fcntl.flock(lock, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def leftovers(state: State | None) -> list[psutil.Process]:
    """What a supervisor that is gone left running."""
    if state is None:
        return []
    return [process for ones in state.children.values() for one in ones if (process := one.find())]
