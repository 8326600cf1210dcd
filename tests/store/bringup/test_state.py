from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from store.bringup.state import AlreadyRunning, Started, State, StateFile, leftovers


def test_only_one_supervisor_holds_a_data_folder(tmp_path: Path) -> None:
    with StateFile(tmp_path).hold(), pytest.raises(AlreadyRunning), StateFile(tmp_path).hold():
        pass


def test_the_holder_is_known_while_it_lives_and_not_after(tmp_path: Path) -> None:
    code = f"from pathlib import Path; from store.bringup.state import StateFile\nwith StateFile(Path({str(tmp_path)!r})).hold(): print('held', flush=True); input()"
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.readline()
    holder = StateFile(tmp_path).holder()
    assert holder is not None
    assert holder.pid == process.pid
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert StateFile(tmp_path).holder() is None
    with StateFile(tmp_path).hold():  # and the lock is free
        pass


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    file, state = StateFile(tmp_path), State(url="http://x", ready=True, children={"web": [Started(pid=1, at=2.0)]})
    file.write(state)
    assert file.read() == state


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"url": "x"}', '{"url": "", "ready": true, "children": {"web": [{"pid": 1}]}}']
)
def test_half_a_file_is_as_none(tmp_path: Path, text: str) -> None:
    file = StateFile(tmp_path)
    file.path.write_text(text)
    assert file.read() is None


def test_a_pid_that_is_somebody_elses_by_now_is_left_alone() -> None:
    mine = Started.of(os.getpid())
    assert mine is not None
    assert leftovers(State(url="", children={"web": [mine]}))[0].pid == os.getpid()
    assert leftovers(State(url="", children={"web": [Started(pid=os.getpid(), at=mine.at - 60)]})) == []
