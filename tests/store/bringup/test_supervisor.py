from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import psutil
import pytest

from store.bringup.supervisor import Service, Supervisor
from tests.waiting import PATIENCE_S

SLEEPER = (sys.executable, "-c", "import time; print('up', flush=True); time.sleep(600)")
DEAF = (
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)",
)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await asyncio.sleep(0.01)


@pytest.fixture
async def supervisor(tmp_path: Path) -> AsyncIterator[Supervisor]:
    made = Supervisor(cwd=tmp_path, log_dir=tmp_path / "log")
    yield made
    made.hurry()
    await made.stop_all()


def pids(supervisor: Supervisor, name: str) -> list[int]:
    return list(supervisor.alive[name])


async def test_it_keeps_as_many_processes_as_asked_for(supervisor: Supervisor) -> None:
    supervisor.start(Service(name="sleep", command=SLEEPER, count=3))
    await until(lambda: len(pids(supervisor, "sleep")) == 3)


async def test_one_that_is_killed_is_replaced_and_the_others_stay(supervisor: Supervisor) -> None:
    supervisor.start(Service(name="sleep", command=SLEEPER, count=2))
    await until(lambda: len(pids(supervisor, "sleep")) == 2)
    first, second = pids(supervisor, "sleep")
    os.kill(first, signal.SIGKILL)
    await until(lambda: first not in pids(supervisor, "sleep") and len(pids(supervisor, "sleep")) == 2)
    assert second in pids(supervisor, "sleep")


async def test_one_that_fails_at_once_is_tried_again_ever_more_slowly(
    supervisor: Supervisor, caplog: pytest.LogCaptureFixture
) -> None:
    supervisor.start(Service(name="bad", command=(sys.executable, "-c", "import sys; sys.exit('no luck')")))
    await until(lambda: len(caplog.messages) >= 3)
    waits = [message.rpartition(" in ")[2] for message in caplog.messages[:3]]
    assert waits == ["0.2 s", "0.4 s", "0.8 s"]
    assert "bad ended with 1" in caplog.messages[0]
    assert "no luck" in supervisor.log_path("bad").read_text()


async def test_a_command_that_is_not_there_is_said_and_tried_again(
    supervisor: Supervisor, caplog: pytest.LogCaptureFixture
) -> None:
    supervisor.start(Service(name="none", command=("/no/such/program",)))
    await until(lambda: len(caplog.messages) >= 2)
    assert "none could not be started" in caplog.messages[0]


async def test_the_highest_stage_is_stopped_first(supervisor: Supervisor) -> None:
    ended: list[str] = []
    supervisor.on_change = lambda alive: ended.extend(
        name for name in ("a", "b") if name not in alive and name not in ended
    )
    for name, stage in (("b", 1), ("a", 0)):
        supervisor.start(Service(name=name, command=SLEEPER, stage=stage))
        await until(lambda name=name: len(pids(supervisor, name)) == 1)  # type: ignore[misc]
    ended.clear()
    await supervisor.stop_all()
    assert ended == ["b", "a"]


async def test_one_that_does_not_hear_is_killed_after_its_time(supervisor: Supervisor) -> None:
    supervisor.start(Service(name="deaf", command=DEAF, stop_timeout_s=0.3))
    await until(lambda: bool(pids(supervisor, "deaf")) and "up" in supervisor.log_path("deaf").read_text())
    (pid,) = pids(supervisor, "deaf")
    await supervisor.stop("deaf")
    assert not psutil.pid_exists(pid)


async def test_in_a_hurry_nobody_is_waited_for(supervisor: Supervisor) -> None:
    supervisor.start(Service(name="deaf", command=DEAF, stop_timeout_s=600))
    await until(lambda: bool(pids(supervisor, "deaf")) and "up" in supervisor.log_path("deaf").read_text())
    stopping = asyncio.create_task(supervisor.stop_all())
    await asyncio.sleep(0)
    supervisor.hurry()
    async with asyncio.timeout(PATIENCE_S):
        await stopping


def test_children_end_with_a_supervisor_that_is_killed(tmp_path: Path) -> None:
    code = f"""
import asyncio, sys
from pathlib import Path
from store.bringup.supervisor import Service, Supervisor
async def main():
    supervisor = Supervisor(cwd=Path("/"), log_dir=Path({str(tmp_path)!r}), on_change=lambda alive: print(alive, flush=True))
    supervisor.start(Service(name="sleep", command={SLEEPER!r}))
    await asyncio.Event().wait()
asyncio.run(main())
"""
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    child = psutil.Process(int(process.stdout.readline().split("[")[1].split("]")[0]))
    process.kill()
    process.wait()
    child.wait(PATIENCE_S)  # raises TimeoutExpired where it lives on
