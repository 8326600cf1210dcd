"""What a process takes from itself before it opens a stranger's file: the network, memory, time, the right to write. Standard library only.

Linux. Nothing of it can be given back: call it in a child, first thing, while the child has one thread.
"""

from __future__ import annotations

import ctypes
import resource
from dataclasses import dataclass
from typing import Final

CLONE_NEWNET: Final = 0x40000000
CLONE_NEWUSER: Final = 0x10000000
PR_SET_NO_NEW_PRIVS: Final = 38
OPEN_FILES: Final = 128


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """What a child may use. ``memory_bytes``: of addresses, so what it maps counts too. ``file_bytes``: of each file that it writes."""

    memory_bytes: int | None  # None: no limit, here and below
    cpu_s: int | None
    file_bytes: int | None = 0
    open_files: int = OPEN_FILES


def isolate(limits: Limits) -> str:
    """Returns what keeps the process from the network: "namespace", or "" where this machine allows nothing of the kind."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    # An empty network of its own: root may have one, others by way of a user namespace, where the machine allows them.
    has_namespace = libc.unshare(CLONE_NEWNET) == 0 or libc.unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0
    limit(limits)
    return "namespace" if has_namespace else ""


def limit(limits: Limits) -> None:
    """Only what it may use: the network stays."""
    for kind, value in (
        (resource.RLIMIT_AS, limits.memory_bytes),
        (resource.RLIMIT_CPU, limits.cpu_s),
        (resource.RLIMIT_FSIZE, limits.file_bytes),
        (resource.RLIMIT_NOFILE, limits.open_files),
        (resource.RLIMIT_CORE, 0),
    ):
        if value is None:
            continue
        _, hard = resource.getrlimit(kind)
        most = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (most, most))


def forbid_processes() -> None:
    """From now on no process and no thread is begun. Root is not bound by it."""
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
