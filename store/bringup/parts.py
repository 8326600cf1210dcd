"""What a store consists of, as processes."""

from __future__ import annotations

import ctypes.util
import signal
import sys
from pathlib import Path

from store import embedded, settings
from store.bringup.supervisor import Service

PYTHON = sys.executable
CPU_CONCURRENCY = 8  # above all the slots of workers.slots together, so that the reaper never waits for a check
GPU_STOP_S = 60.0  # more than the workers' DRAIN_S
SERVERS, WORKERS, WEB = range(3)  # the web processes go first, for what is under way needs all the others


def postgres() -> Service:
    """The embedded database. SIGINT is its fast shutdown: sessions end, nothing is lost."""
    return Service(
        name="postgres",
        command=tuple(embedded.postgres_command(settings.DATA_DIR)),
        user=embedded.postgres_user(),
        stage=SERVERS,
        stop_signal=signal.SIGINT,
    )


def valkey() -> Service:
    """The embedded broker and store of limits."""
    return Service(name="valkey", command=tuple(embedded.valkey_command(settings.DATA_DIR)), stage=SERVERS)


def web(listener_fd: int) -> Service:
    """The web processes, which share one listening socket."""
    return Service(
        name="web",
        command=(PYTHON, "-m", "store.web", "--fd", str(listener_fd)),
        count=settings.WEB_PROCESSES,
        stop_timeout_s=settings.WEB_DRAIN_S + 10,
        pass_fds=(listener_fd,),
        stage=WEB,
    )


def sandbox() -> Service:
    """The stand-in for Stripe."""
    return Service(name="sandbox", command=(PYTHON, "-m", "store.sandbox"), stage=WORKERS)


def cpu_worker() -> Service:
    """Runs what is not serving: the reaper, the books."""
    quiet = ("--without-gossip", "--without-mingle", "--without-heartbeat")
    return _celery("cpu", "worker", "--pool=threads", f"--concurrency={CPU_CONCURRENCY}", "--queues=cpu", *quiet)


def beat() -> Service:
    """Says when it is time for what happens regularly."""
    return _celery("beat", "beat", f"--schedule={settings.DATA_DIR / 'beat-schedule'}", "--pidfile=")


def _celery(name: str, command: str, *options: str) -> Service:
    start = (PYTHON, "-m", "celery", "-A", "workers.cpu", command, f"--loglevel={settings.LOG_LEVEL}")
    return Service(name=name, command=(*start, *options), stage=WORKERS)


def gpu_worker() -> Service:
    """Serves the models, on a GPU where there is one. Gets no word of the database, nor of the store's secret."""
    environment = {"DATABASE_URL": "", "SECRET_KEY": "", "EMAIL_URL": ""}
    if allocator := find_tcmalloc():
        environment["LD_PRELOAD"] = allocator
    command = (PYTHON, "-m", "workers.gpu")
    return Service(name="gpu", command=command, environment=environment, stop_timeout_s=GPU_STOP_S, stage=WORKERS)


def find_tcmalloc() -> str | None:
    """glibc's allocator makes generation on a CPU slower and unsteady; this one is used where it is installed."""
    for name in ("tcmalloc_minimal", "tcmalloc"):
        if found := ctypes.util.find_library(name):
            return found
    return None


def log_dir() -> Path:
    """A file for each service."""
    return settings.DATA_DIR / "log"
