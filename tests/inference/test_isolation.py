"""A child that gave itself up to little."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from inference.isolation import Limits
from tests.house.tree import ROOT

LIMITS = Limits(memory_bytes=200 * 1024**2, cpu_s=5)
BEGIN = "import json, sys; from inference.isolation import *; said = isolate(Limits(**json.loads(sys.argv[1])))\n"


def child(code: str, *arguments: str, limits: Limits = LIMITS) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", BEGIN + code, json.dumps(asdict(limits)), *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env={"PYTHONPATH": str(ROOT)})


def answer(code: str, *arguments: str, **options: Any) -> str:
    done = child(code, *arguments, **options)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_it_reaches_no_network_where_it_says_so() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        code = """
import socket
try:
    socket.create_connection(("127.0.0.1", int(sys.argv[2])), timeout=2)
except OSError:
    print(said, "refused")
else:
    print(said, "reached")
"""
        said = answer(code, str(server.getsockname()[1]))
    assert said in ("namespace refused", "reached")


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("x = bytes(10**9)", "MemoryError"),
        ("file = open(sys.argv[2], 'wb', buffering=0); file.write(b'x')", "File too large"),
        ("files = [open('/dev/null') for _ in range(500)]", "Too many open files"),
    ],
)
def test_it_has_no_more_than_it_was_given(tmp_path: Path, code: str, error: str) -> None:
    done = child("import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n" + code, str(tmp_path / "file"))
    assert done.returncode == 1
    assert error in done.stderr


def test_it_ends_when_its_time_is_up() -> None:
    done = child("while True: pass", limits=Limits(memory_bytes=10**9, cpu_s=1))
    assert done.returncode < 0
