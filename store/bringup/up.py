"""``make up``: the whole store in the foreground of this process, which supervises it until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import psutil

from store import embedded, settings
from store.bringup import services
from store.bringup.ports import listen
from store.bringup.state import Started, State, StateFile, leftovers
from store.bringup.steps import console, step
from store.bringup.supervisor import Service, Supervisor, use_single_thread_watcher

MIN_FREE_BYTES = 300 * 1024 * 1024
LEFTOVERS_S = 20.0  # what a killed start left behind gets this long to go by itself
PREPARED = b"1"


class CannotStart(Exception):
    """The message is for a person: what is wrong and what to do."""


def check_disk(data_dir: Path) -> None:
    """Raises CannotStart where databases and logs would have no room."""
    data_dir.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(data_dir).free
    if free < MIN_FREE_BYTES:
        raise CannotStart(
            f"Only {free / 1e6:.0f} MB are free where {data_dir} is, and the store needs {MIN_FREE_BYTES / 1e6:.0f} MB to start. "
            "Make room, or put the data elsewhere: make up DATA_DIR=/path"
        )


def end_leftovers(state: State | None) -> None:
    """Waits for what a killed supervisor left running, then kills it: each process is known by its start, not only by its pid."""
    processes = leftovers(state)
    if not processes:
        return
    with step("Cleaning up after a start that was killed") as tell:
        tell(f"{len(processes)} processes")
        _gone, stubborn = psutil.wait_procs(processes, timeout=LEFTOVERS_S)
        for process in stubborn:
            process.kill()
        psutil.wait_procs(stubborn, timeout=5)


async def run(ready_fd: int | None) -> None:
    """Starts everything, stays until SIGINT or SIGTERM, stops everything. Raises CannotStart, PortTaken, AlreadyRunning, OSError."""
    state = StateFile(settings.DATA_DIR)
    check_disk(settings.DATA_DIR)
    with state.hold():
        end_leftovers(state.read())
        with listen(settings.WEB_HOST, settings.WEB_PORT) as listener:
            async with _supervised(state) as supervisor:
                await _until_signal(_start_and_watch(supervisor, state, listener, ready_fd))
        state.clear()


@contextlib.asynccontextmanager
async def _supervised(file: StateFile) -> AsyncIterator[Supervisor]:
    """A supervisor that writes down what it started, and stops it all in the end."""

    def note(pids: dict[str, list[int]]) -> None:
        before = file.read()
        children = {name: [one for pid in all_ if (one := Started.of(pid))] for name, all_ in pids.items()}
        file.write(State(supervisor=me, url=settings.PUBLIC_URL, ready=before is not None and before.ready, children=children))

    me = Started.of(os.getpid())
    assert me is not None
    file.clear()
    note({})
    supervisor = Supervisor(cwd=settings.BASE_DIR, log_dir=services.log_dir(), on_change=note)
    try:
        yield supervisor
    finally:
        with step("Stopping the store"):
            await supervisor.stop_all()


async def _until_signal(work: asyncio.Future[None]) -> None:
    """Runs ``work`` until it ends or a signal says stop."""
    loop, task = asyncio.get_running_loop(), asyncio.ensure_future(work)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, task.cancel)
    try:
        await task
    except asyncio.CancelledError:
        console.print()


async def _start_and_watch(supervisor: Supervisor, file: StateFile, listener: socket.socket, ready_fd: int | None) -> None:
    await _start_servers(supervisor)
    supervisor.start(services.gpu_worker())  # it has the longest way to go, and needs no database
    prepared_here, prepared_there = os.pipe()
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "store.bringup.prepare", "--prepared-fd", str(prepared_there), pass_fds=(prepared_there,)
    )
    os.close(prepared_there)
    try:
        if await asyncio.to_thread(os.read, prepared_here, 1) == PREPARED:
            for service in (services.cpu_worker(), services.beat(), services.web(listener.fileno())):
                supervisor.start(service)
        if await child.wait() != 0:
            raise CannotStart(f"The store did not come up. What its parts said is in {services.log_dir()}")
    finally:
        os.close(prepared_here)
        with contextlib.suppress(ProcessLookupError):
            child.terminate()
    _say_ready(file, ready_fd)
    await asyncio.Event().wait()


async def _start_servers(supervisor: Supervisor) -> None:
    """The embedded Postgres and Valkey, where no other was named."""
    if settings.DATABASE_URL == embedded.database_url(settings.DATA_DIR):
        is_new = not (settings.DATA_DIR / "postgres" / "PG_VERSION").exists()
        with step("Starting PostgreSQL") as tell:
            tell("new database in .data/postgres" if is_new else "")
            await _blocking(embedded.prepare_postgres, settings.DATA_DIR)
            await _start_and_await(supervisor, services.postgres(), embedded.wait_for_postgres, settings.DATABASE_URL)
            await _blocking(embedded.create_database, settings.DATABASE_URL)
    if settings.REDIS_URL == embedded.redis_url(settings.DATA_DIR):
        with step("Starting Valkey"):
            await _start_and_await(supervisor, services.valkey(), embedded.wait_for_valkey, settings.REDIS_URL)
