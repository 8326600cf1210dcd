"""What a store consists of, as processes."""

from __future__ import annotations

import ctypes.util
import signal
import sys
from pathlib import Path

from store import embedded, settings
from store.bringup.supervisor import Service

PYTHON = sys.executable
MIN_CPU_CONCURRENCY = 2


def postgres() -> Service:
    """The embedded database. SIGINT is its fast shutdown: sessions end, nothing is lost."""
    return Service(
        name="postgres",
        command=tuple(embedded.postgres_command(settings.DATA_DIR)),
        user=embedded.postgres_user(),
        stop_signal=signal.SIGINT,
    )


def valkey() -> Service:
    """The embedded broker and store of limits."""
    return Service(name="valkey", command=tuple(embedded.valkey_command(settings.DATA_DIR)))


def web(listener_fd: int) -> Service:
    """The web processes, which share one listening socket."""
    return Service(
        name="web",
        command=(PYTHON, "-m", "store.web", "--fd", str(listener_fd)),
        count=settings.WEB_PROCESSES,
        stop_timeout_s=settings.WEB_DRAIN_S + 10,
        pass_fds=(listener_fd,),
    )


def cpu_worker() -> Service:
    """Runs what is not serving: the reaper, the books."""
    options = (
        "--pool",
        "threads",
        "--concurrency",
        str(MIN_CPU_CONCURRENCY),
        "--queues",
        "cpu",
        "--loglevel",
        settings.LOG_LEVEL,
    )
    quiet = ("--without-gossip", "--without-mingle", "--without-heartbeat")
    return Service(name="cpu", command=(PYTHON, "-m", "celery", "-A", "workers.cpu", "worker", *options, *quiet))


def beat() -> Service:
    """Says when it is time for what happens regularly."""
    schedule = settings.DATA_DIR / "beat-schedule"
    return Service(
        name="beat",
        command=(PYTHON, "-m", "celery", "-A", "workers.cpu", "beat", "--schedule", str(schedule), "--pidfile=", "--loglevel", settings.LOG_LEVEL),
    )  # fmt: skip


def gpu_worker() -> Service:
    """Serves the models, on a GPU where there is one. Gets no word of the database, nor of the store's secret."""
    hidden = {"DATABASE_URL": "", "SECRET_KEY": "", "EMAIL_URL": ""}
    preload = {"LD_PRELOAD": allocator} if (allocator := find_tcmalloc()) else {}
    return Service(
        name="gpu", command=(PYTHON, "-m", "workers.gpu"), environment={**hidden, **preload}, stop_timeout_s=60
    )


def find_tcmalloc() -> str | None:
    """glibc's allocator makes generation on a CPU slower and unsteady; this one is used where it is installed."""
    for name in ("tcmalloc_minimal", "tcmalloc"):
        if found := ctypes.util.find_library(name):
            return found
    return None


def log_dir() -> Path:
    """A file for each service."""
    return settings.DATA_DIR / "log"
