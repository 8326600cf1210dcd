"""``make up``: brings up the whole store, which this process supervises until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import psycopg
import redis

from store import embedded, settings
from store.bringup import parts
from store.bringup.ports import listen
from store.bringup.state import Started, State, StateFile, leftovers
from store.bringup.steps import console, step
from store.bringup.supervisor import Service, Supervisor

MIN_FREE_BYTES = 300 * 1024 * 1024
LEFTOVERS_S = 20.0  # what a killed start left behind gets this long to go by itself
ANSWER_S = 30.0
POLL_S = 0.05  # a server cannot tell us that it is ready
PREPARED = b"1"
LOG_TAIL_CHARS = 1_500


class CannotStart(Exception):
    """The message is for a person: what is wrong and what to do."""


def check_disk(data_dir: Path) -> None:
    """Raises CannotStart where databases and logs would have no room."""
    data_dir.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(data_dir).free
    if free < MIN_FREE_BYTES:
        raise CannotStart(
            f"Only {free / 1e6:.0f} MB are free where {data_dir} is, and a store needs {MIN_FREE_BYTES / 1e6:.0f} MB to start. "
            "Make room, or keep the data elsewhere: make up DATA_DIR=/path"
        )


def end_leftovers(state: State | None) -> None:
    """Waits for what a killed supervisor left running, then kills it: each process is known by its start, not only by its pid."""
    processes = leftovers(state)
    if not processes:
        return
    with step("Waiting for the rest of a store that was killed") as tell:
        tell(f"{len(processes)} processes")
        _gone, stubborn = psutil.wait_procs(processes, timeout=LEFTOVERS_S)
        for process in stubborn:
            process.kill()
        psutil.wait_procs(stubborn, timeout=5)


class Bringup:
    """One life of a store. ``ready_fd`` hears of it when the store is up; from then on nothing is shown here."""

    def __init__(self, *, file: StateFile, listener: socket.socket, ready_fd: int | None) -> None:
        self.file = file
        self.listener = listener
        self.ready_fd = ready_fd
        self.is_ready = False
        self.supervisor = Supervisor(cwd=settings.BASE_DIR, log_dir=parts.log_dir(), on_change=self._note)
        self._note({})

    async def run(self) -> None:
        """Returns when SIGINT, SIGTERM or SIGHUP came and everything has stopped. Raises CannotStart, after stopping everything."""
        main = asyncio.create_task(self._start_and_stay())
        loop = asyncio.get_running_loop()

        def stop() -> None:
            if not main.cancel():
                self.supervisor.hurry()  # asked twice

        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, stop)
        try:
            await main
        except asyncio.CancelledError:
            console.print()
        finally:
            with step("Stopping the store"):
                await self.supervisor.stop_all()
            self.file.clear()

    async def _start_and_stay(self) -> None:
        await self._start_servers()
        self.supervisor.start(parts.gpu_worker())  # it has the longest way to go, and needs no database
        prepared_here, prepared_there = os.pipe()
        command = (sys.executable, "-m", "store.bringup.prepare", "--prepared-fd", str(prepared_there))
        child = await asyncio.create_subprocess_exec(*command, pass_fds=(prepared_there,), cwd=settings.BASE_DIR)
        os.close(prepared_there)
        try:
            if await _read(prepared_here) == PREPARED:
                self.supervisor.start(parts.web(self.listener.fileno()))
            if await child.wait() != 0:
                raise CannotStart(f"The store did not come up. What its parts said is in {parts.log_dir()}")
        finally:
            os.close(prepared_here)
            with contextlib.suppress(ProcessLookupError):
                child.terminate()
        for service in (parts.cpu_worker(), parts.beat(), *([parts.sandbox()] if settings.SANDBOX else [])):
            self.supervisor.start(service)  # not before, for the first call needs neither, and all cores are busy
        self._say_ready()
        await asyncio.Event().wait()  # until cancelled: the supervisor does the rest

    async def _start_servers(self) -> None:
        """The embedded Postgres and Valkey, where no other was named."""
        if embedded.database_url(settings.DATA_DIR) == settings.DATABASE_URL:
            with step("Starting PostgreSQL"):
                try:
                    embedded.prepare_postgres(settings.DATA_DIR)
                except subprocess.CalledProcessError as error:
                    raise CannotStart(f"PostgreSQL cannot make its database: {error.stderr}") from None
                await self._start_server(parts.postgres(), lambda: embedded.ping_postgres(settings.DATABASE_URL))
                embedded.create_database(settings.DATABASE_URL)
        if embedded.redis_url(settings.DATA_DIR) == settings.REDIS_URL:
            with step("Starting Valkey"):
                await self._start_server(parts.valkey(), lambda: embedded.ping_valkey(settings.REDIS_URL))

    async def _start_server(self, service: Service, ping: Callable[[], None]) -> None:
        self.supervisor.start(service)
        deadline = asyncio.get_running_loop().time() + ANSWER_S
        while True:
            try:
                return ping()
            except (psycopg.OperationalError, redis.RedisError) as error:
                if asyncio.get_running_loop().time() > deadline:
                    said = self.supervisor.log_path(service.name).read_text(errors="replace")[-LOG_TAIL_CHARS:]
                    raise CannotStart(f"{service.name} does not answer ({error}). It said:\n{said}") from None
            await asyncio.sleep(POLL_S)

    def _say_ready(self) -> None:
        self.is_ready = True
        self._note({name: list(processes) for name, processes in self.supervisor.alive.items()})
        if self.ready_fd is None:
            console.print("[dim]Ctrl-C stops the store; what its parts say is in .data/log[/]")
            return
        console.print(
            "[dim]The store runs in the background: make down stops it; what its parts say is in .data/log[/]"
        )
        with self.supervisor.log_path("supervisor").open("ab") as out:
            os.dup2(out.fileno(), sys.stdout.fileno())
            os.dup2(out.fileno(), sys.stderr.fileno())
        os.write(self.ready_fd, b"1")
        os.close(self.ready_fd)

    def _note(self, pids: dict[str, list[int]]) -> None:
        children = {name: [one for pid in all_ if (one := Started.of(pid))] for name, all_ in pids.items()}
        self.file.write(State(url=settings.PUBLIC_URL, ready=self.is_ready, children=children))


async def _read(pipe: int) -> bytes:
    """One byte, or none where the other end was closed."""
    loop = asyncio.get_running_loop()
    is_readable = asyncio.Event()
    loop.add_reader(pipe, is_readable.set)
    try:
        await is_readable.wait()
    finally:
        loop.remove_reader(pipe)
    return os.read(pipe, 1)


def bring_up(ready_fd: int | None) -> None:
    """Blocks while the store runs. Raises CannotStart, PortTaken, AlreadyRunning and OSError."""
    file = StateFile(settings.DATA_DIR)
    check_disk(settings.DATA_DIR)
    with file.hold():
        end_leftovers(file.read())
        with listen(settings.WEB_HOST, settings.WEB_PORT) as listener:
            asyncio.run(_run(file, listener, ready_fd))


async def _run(file: StateFile, listener: socket.socket, ready_fd: int | None) -> None:
    await Bringup(file=file, listener=listener, ready_fd=ready_fd).run()
