"""Keeps processes running: starts them, starts again what dies, stops them in order.

Why not a library: supervisord gives up on what fails repeatedly (FATAL), circus brings ZeroMQ and Tornado; the children of both
live on when they are killed, and neither waits for a part to be ready. Here a child gets its stop signal from the kernel when the
supervisor dies, however it dies, so a killed start leaves nothing behind.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

FIRST_WAIT_S = 0.2
LONGEST_WAIT_S = 10.0
STEADY_S = 10.0  # who lived this long starts again at once
MAX_LOG_BYTES = 16 * 1024 * 1024  # a log that is longer when its service starts is set aside, once
PR_SET_PDEATHSIG = 1  # linux/prctl.h

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Service:
    """What runs as ``count`` processes. ``user`` is a system user; ``pass_fds`` stay open in the child.

    Services of the highest ``stage`` are stopped first, those of one stage together.
    """

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    count: int = 1
    stop_signal: signal.Signals = signal.SIGTERM
    stop_timeout_s: float = 30.0
    user: str | None = None
    pass_fds: tuple[int, ...] = ()
    stage: int = 0


class Supervisor:
    """All methods belong to one event loop. ``on_change`` hears of every start and end, with the pids alive by service."""

    def __init__(
        self, *, cwd: Path, log_dir: Path, on_change: Callable[[dict[str, list[int]]], None] = lambda _pids: None
    ) -> None:
        self.cwd = cwd
        self.log_dir = log_dir
        self.on_change = on_change
        self.alive: dict[str, dict[int, asyncio.subprocess.Process]] = {}
        self._keepers: dict[str, list[asyncio.Task[None]]] = {}
        self._services: dict[str, Service] = {}
        self._stopping: list[asyncio.subprocess.Process] = []
        self._in_a_hurry = False
        log_dir.mkdir(parents=True, exist_ok=True)

    def start(self, service: Service) -> None:
        """Starts its processes, and goes on starting them."""
        self._services[service.name] = service
        self.alive[service.name] = {}
        _set_aside(self.log_path(service.name))
        self._keepers[service.name] = [asyncio.create_task(self._keep(service)) for _ in range(service.count)]

    def log_path(self, name: str) -> Path:
        """Where the processes of a service write."""
        return self.log_dir / f"{name}.log"

    async def stop_all(self) -> None:
        """Stops every service, stage by stage: one begins when all above it are gone."""
        stages = {service.stage for service in self._services.values()}
        for stage in sorted(stages, reverse=True):
            await asyncio.gather(
                *(self.stop(name) for name, service in list(self._services.items()) if service.stage == stage)
            )

    def hurry(self) -> None:
        """Makes :meth:`stop_all` kill, from now on, what it would wait for."""
        self._in_a_hurry = True
        for process in self._stopping:
            with contextlib.suppress(ProcessLookupError):
                process.kill()

    async def stop(self, name: str) -> None:
        """Signals, waits for ``stop_timeout_s``, then kills."""
        service, keepers = self._services.pop(name), self._keepers.pop(name)
        for keeper in keepers:
            keeper.cancel()  # no process is started any more; those alive are left to us
        await asyncio.gather(*keepers, return_exceptions=True)
        processes = list(self.alive.pop(name).values())
        self._stopping += processes
        for process in processes:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGKILL if self._in_a_hurry else service.stop_signal)
        await asyncio.gather(*(self._await_end(service, process) for process in processes))
        self._changed()

    async def _await_end(self, service: Service, process: asyncio.subprocess.Process) -> None:
        try:
            await asyncio.wait_for(process.wait(), service.stop_timeout_s)
        except TimeoutError:
            log.warning(
                "%s (%d) did not stop within %g s and is killed", service.name, process.pid, service.stop_timeout_s
            )
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # and what it may have left behind
        await process.wait()

    async def _keep(self, service: Service) -> None:
        wait_s = FIRST_WAIT_S
        while True:
            began = time.monotonic()
            ended = await self._run_once(service)
            lived_s = time.monotonic() - began
            wait_s = FIRST_WAIT_S if lived_s > STEADY_S else wait_s
            log.warning("%s %s after %.1f s; starts again in %.1f s", service.name, ended, lived_s, wait_s)
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, LONGEST_WAIT_S)

    async def _run_once(self, service: Service) -> str:
        """One life of a process; says how it ended."""
        try:
            process = await self._spawn(service)
        except OSError as error:
            return f"could not be started ({error})"
        self.alive[service.name][process.pid] = process
        self._changed()
        code = await process.wait()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # its own children do not outlive it
        self.alive[service.name].pop(process.pid)
        self._changed()
        return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with {code}"

    async def _spawn(self, service: Service) -> asyncio.subprocess.Process:
        with self.log_path(service.name).open("ab") as out:
            return await asyncio.create_subprocess_exec(
                *service.command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                cwd=self.cwd,
                env={**os.environ, **service.environment},
                user=service.user,
                pass_fds=service.pass_fds,
                start_new_session=True,  # Ctrl-C reaches us only
                preexec_fn=_die_with(os.getpid(), service.stop_signal),
            )

    def _changed(self) -> None:
        self.on_change({name: list(processes) for name, processes in self.alive.items()})


def _die_with(parent: int, stop_signal: signal.Signals) -> Callable[[], None]:
    """Runs in the child: asks the kernel for ``stop_signal`` when ``parent`` dies. Elsewhere than on Linux, children outlive us."""
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None

    def ask() -> None:
        if libc:
            libc.prctl(PR_SET_PDEATHSIG, int(stop_signal))
            if os.getppid() != parent:  # it died in between
                os._exit(1)

    return ask


def _set_aside(path: Path) -> None:
    if path.exists() and path.stat().st_size > MAX_LOG_BYTES:
        path.replace(path.with_suffix(".log.old"))


def use_single_thread_watcher() -> None:
    """Python 3.11 would wait for each child in a thread of its own; with none, the code between fork and exec is safe."""
    if sys.version_info < (3, 12) and hasattr(os, "pidfd_open"):
        watcher = asyncio.PidfdChildWatcher()
        asyncio.set_child_watcher(watcher)
