"""The part of ``make up`` that needs Django: the database's tables, the static files, the demo, and the first call.

A process of its own, so that the supervisor stays small. It says on ``--prepared-fd`` when the other parts can be started.
"""

from __future__ import annotations

import argparse
import hashlib
import http.client
import io
import os
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

import django
import redis
from django.conf import settings
from django.core.management import call_command
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.migrations.executor import MigrationExecutor

from inference.wire import REPLICA_PREFIX
from store.bringup.ports import local_address, public_host
from store.bringup.steps import console, step
from store.settings import configure

POLL_S = 0.05
READY_S = 180.0  # a GPU worker on a slow machine reads torch from a cold disk
PREPARED = b"1"


class NotReady(Exception):
    """A part has not come up in time."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prepared-fd", type=int, required=True)
    prepared_fd: int = parser.parse_args().prepared_fd
    configure()
    django.setup()
    from store.bringup.demo import make_demo, show_bytes
    from store.bringup.show import ShowFailed, show_store  # these need Django's apps, which are there from here on

    migrate()
    call_command("runs", "months", stdout=io.StringIO())  # a store that was off for long has none of today
    collect_static()
    with step("Preparing the demo: a provider, a consumer, an admin, the sample model") as tell:
        demo = make_demo(settings.DATA_DIR / "demo.json", on_progress=lambda progress: tell(show_bytes(progress)))
        tell(demo.model)
    os.write(prepared_fd, PREPARED)
    os.close(prepared_fd)
    try:
        with step("Starting the store"):
            await_ready(web_answers, "The web process does not answer", "web.log")
        with step("Starting the GPU worker"):
            await_ready(worker_reports, "The GPU worker has not reported", "gpu.log")
        show_store(demo)
    except (NotReady, ShowFailed) as error:
        console.print(f"[red]{error}[/]", markup=True)
        return 1
    return 0


def migrate() -> None:
    """Makes the tables what the code expects; quick where they are."""
    with step("Updating the database's tables") as tell:
        executor = MigrationExecutor(connections[DEFAULT_DB_ALIAS])
        plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
        if plan:
            tell(f"{len(plan)} changes")
            call_command("migrate", interactive=False, verbosity=0)


def collect_static() -> None:
    """Puts every script, style and picture where WhiteNoise serves it from; skipped where nothing has changed since."""
    root, stamp = Path(settings.STATIC_ROOT), Path(settings.STATIC_ROOT) / ".collected"
    with step("Collecting scripts and styles") as tell:
        wanted = _static_stamp()
        if stamp.exists() and stamp.read_text() == wanted:
            return
        shutil.rmtree(root, ignore_errors=True)
        out = io.StringIO()
        call_command("collectstatic", interactive=False, verbosity=1, stdout=out)
        tell(f"{sum(1 for path in root.rglob('*') if path.is_file())} files")
        stamp.write_text(wanted)


def _static_stamp() -> str:
    """Changes when a package or the built front end does."""
    digest = hashlib.sha256()
    for path in [
        settings.BASE_DIR / "requirements" / "store.txt",
        *sorted((settings.BASE_DIR / "frontend" / "dist").rglob("*")),
    ]:
        if path.is_file():
            digest.update(f"{path} {path.stat().st_size}\n".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


def await_ready(is_ready: Callable[[], bool], complaint: str, log: str) -> None:
    """Raises NotReady, with where to look."""
    deadline = time.monotonic() + READY_S
    while not is_ready():
        if time.monotonic() > deadline:
            raise NotReady(f"{complaint} after {READY_S:g} s. See {settings.DATA_DIR / 'log' / log}")
        time.sleep(POLL_S)


def web_answers() -> bool:
    """Whether a web process serves requests: without a key, it says 401."""
    connection = http.client.HTTPConnection(*local_address(), timeout=2)
    try:
        connection.request("GET", "/v1/models", headers={"Host": public_host()})
        return connection.getresponse().status < 500
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def worker_reports() -> bool:
    """Whether any GPU worker has said that it is there."""
    try:
        return (
            next(redis.Redis.from_url(settings.REDIS_URL).scan_iter(f"{REPLICA_PREFIX}*", count=1000), None) is not None
        )
    except redis.RedisError:
        return False


if __name__ == "__main__":
    sys.exit(main())
