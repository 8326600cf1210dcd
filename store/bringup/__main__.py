"""``python -m store.bringup up [--detach]`` and ``down``: what ``make up`` and ``make down`` run."""

from __future__ import annotations

import argparse
import errno
import os
import subprocess
import sys
from typing import Any

import psutil
from django.core.exceptions import ImproperlyConfigured

from store.bringup.steps import console, step

DOWN_S = 120.0  # answers that are under way may end


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m store.bringup", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    up_parser = commands.add_parser("up", help="start the store")
    up_parser.add_argument("--detach", action="store_true", help="return once the store answers")
    up_parser.add_argument("--ready-fd", type=int, help=argparse.SUPPRESS)
    commands.add_parser("down", help="stop it")
    options = parser.parse_args()
    try:
        return down() if options.command == "down" else up(detach=options.detach, ready_fd=options.ready_fd)
    except ImproperlyConfigured as error:
        return _fail(str(error))
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        return _fail("The disk is full. Make room, or keep the data elsewhere: make up DATA_DIR=/path")


def up(*, detach: bool, ready_fd: int | None) -> int:
    # The settings are read here and not on import, so that a bad one is told, and not shown as a traceback.
    from store.bringup.ports import PortTaken
    from store.bringup.state import AlreadyRunning
    from store.bringup.supervisor import use_single_thread_watcher
    from store.bringup.up import CannotStart, bring_up

    file = _state_file()
    if file.holder():
        return _say_running(file)
    if detach:
        return _detach()
    use_single_thread_watcher()
    try:
        bring_up(ready_fd)
    except AlreadyRunning:
        return _say_running(file)
    except (PortTaken, CannotStart) as error:
        return _fail(str(error))
    return 0


def down() -> int:
    from store.bringup.up import end_leftovers

    file = _state_file()
    supervisor = file.holder()
    if supervisor is None:
        end_leftovers(file.read())
        console.print("The store is not running.")
        return 0
    with step("Stopping the store"):
        supervisor.terminate()
        try:
            supervisor.wait(DOWN_S)
        except psutil.TimeoutExpired:
            supervisor.kill()
            supervisor.wait()
    end_leftovers(file.read())
    return 0


def _state_file() -> Any:
    from store import settings
    from store.bringup.state import StateFile

    return StateFile(settings.DATA_DIR)


def _say_running(file: Any) -> int:
    state = file.read()
    if state is None or not state.ready:
        console.print("The store is starting already, in another terminal. [bold]make down[/] stops it.")
        return 0
    console.print(
        f"The store is running at [bold]{state.url}[/]. Its accounts are in .data/demo.json; [bold]make down[/] stops it."
    )
    return 0


def _detach() -> int:
    """Starts a process that outlives this terminal, and waits until it says that the store answers."""
    ready_here, ready_there = os.pipe()
    command = [sys.executable, "-m", "store.bringup", "up", "--ready-fd", str(ready_there)]
    child = subprocess.Popen(command, pass_fds=(ready_there,), stdin=subprocess.DEVNULL, start_new_session=True)
    os.close(ready_there)
    try:
        if os.read(ready_here, 1):
            return 0
        return child.wait()
    except KeyboardInterrupt:
        child.terminate()
        return child.wait() or 130


def _fail(message: str) -> int:
    console.print(f"[red]{message}[/]")
    return 1


if __name__ == "__main__":
    sys.exit(main())
