"""``make up`` and ``make down`` as a newcomer types them, against a data folder of their own; and everything that the README tells to type."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
from openai import OpenAI

from tests.readme import blocks

ROOT = Path(__file__).resolve().parent.parent
UP_S, WAIT_S = 240, 60
NOT_OURS = (
    "DATABASE_URL",
    "REDIS_URL",
    "BROKER_URL",
    "SECRET_KEY",
    "PUBLIC_URL",
    "INTERNAL_URL",
    "DATA_DIR",
    "WEB_PORT",
)

pytestmark = [pytest.mark.story, pytest.mark.timeout(UP_S * 2)]


@dataclass(frozen=True)
class Store:
    """A store that ``up`` started."""

    data_dir: Path
    port: int

    def run(self, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "store.bringup", *arguments]
        return subprocess.run(
            command,
            cwd=ROOT,
            env={**self.environment, **more},
            capture_output=True,
            text=True,
            timeout=UP_S,
            check=False,
        )

    def shell(self, text: str) -> str:
        """Runs what the README says, at this store's address and in its folder."""
        text = text.replace("127.0.0.1:8000", f"127.0.0.1:{self.port}").replace(".data/", f"{self.data_dir}/")
        text = re.sub(r"(?<!/)\.venv/bin/python", sys.executable, text)
        done = subprocess.run(
            ["bash", "-euc", text],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=UP_S,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if name not in NOT_OURS}
        return {**kept, "DATA_DIR": str(self.data_dir), "WEB_PORT": str(self.port), "WEB_PROCESSES": "2"}

    @property
    def demo(self) -> dict[str, Any]:
        return dict(json.loads((self.data_dir / "demo.json").read_text()))

    def client(self) -> OpenAI:
        return OpenAI(base_url=f"{self.demo['url']}/v1", api_key=self.demo["consumer"]["api_key"])

    def ask(self) -> Any:
        return self.client().chat.completions.create(
            model=self.demo["model"], messages=[{"role": "user", "content": "Who's there?"}], max_tokens=8
        )

    def pids(self, part: str) -> list[int]:
        return [child["pid"] for child in json.loads((self.data_dir / "supervisor.json").read_text())["children"][part]]

    def supervisor(self) -> int:
        return int(json.loads((self.data_dir / "supervisor.lock").read_text())["pid"])


def await_that(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.05)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    # Not in pytest's own folder: each session closes that to other users, and root's PostgreSQL runs as one.
    with tempfile.TemporaryDirectory(prefix="store-up-") as folder:
        store = Store(Path(folder) / "data", free_port())
        done = store.run("up", "--detach")
        assert done.returncode == 0, done.stdout + done.stderr
        check_shown(store, done.stdout)
        yield store
        assert store.run("down").returncode == 0


def check_shown(store: Store, shown: str) -> None:
    """A new store shows what its first call used and cost, and how to make the next."""
    assert re.search(r"\d+ \+ \d+ tokens, charged \$0\.0000\d+, \$9\.99\d+ of test money left", shown), shown
    assert f"http://127.0.0.1:{store.port}/v1/chat/completions" in shown
    assert "OpenAI(base_url=" in shown


def test_the_store_answers_the_official_client_and_counts_its_tokens(store: Store) -> None:
    answer = store.ask()
    assert 0 < answer.usage.completion_tokens <= 8


def test_the_secrets_of_the_demo_are_for_their_owner_only(store: Store) -> None:
    assert stat.S_IMODE((store.data_dir / "demo.json").stat().st_mode) == 0o600
    demo = store.demo
    assert set(demo) == {"url", "model", "admin", "provider", "consumer"}
    assert set(demo["admin"]) == set(demo["provider"]) == {"email", "password"}
    assert set(demo["consumer"]) == {"email", "password", "api_key"}
    assert len({demo[role]["password"] for role in ("admin", "provider", "consumer")}) == 3


def test_a_second_up_says_where_the_store_is_running(store: Store) -> None:
    done = store.run("up")
    assert done.returncode == 0
    assert f"running at http://127.0.0.1:{store.port}" in done.stdout


def test_another_store_on_the_same_port_is_told_who_has_it(store: Store, tmp_path: Path) -> None:
    done = store.run("up", DATA_DIR=str(tmp_path / "other"))
    assert done.returncode == 1
    assert f"Port {store.port} is taken by python" in done.stdout
    assert f"make up WEB_PORT={store.port + 1}" in done.stdout


def test_a_setting_that_makes_no_sense_is_named(store: Store) -> None:
    done = store.run("up", WEB_PORT="eight")
    assert done.returncode == 1
    assert "WEB_PORT" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.parametrize("part", ["web", "gpu", "cpu", "beat", "valkey", "postgres"])
def test_what_dies_is_started_again(store: Store, part: str) -> None:
    before = store.pids(part)
    os.kill(before[0], signal.SIGKILL)
    await_that(lambda: len(store.pids(part)) == len(before) and before[0] not in store.pids(part))

    def answers() -> bool:
        try:
            return bool(store.ask().usage.completion_tokens)
        except Exception:  # while the part is away, any error is right; that it ends is what is tested
            return False

    await_that(answers)


def test_a_store_whose_supervisor_was_killed_comes_up_again_with_all_its_data(store: Store) -> None:
    demo, children = store.demo, [pid for part in ("web", "gpu", "postgres") for pid in store.pids(part)]
    os.kill(store.supervisor(), signal.SIGKILL)
    done = store.run("up", "--detach")
    assert done.returncode == 0, done.stdout + done.stderr
    assert not any(psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE for pid in children)
    assert store.demo == demo
    store.ask()


def test_down_stops_everything_and_up_keeps_all_data(store: Store) -> None:
    demo, supervisor = store.demo, store.supervisor()
    children = [pid for part in ("web", "gpu", "cpu", "beat", "valkey", "postgres") for pid in store.pids(part)]
    assert store.run("down").returncode == 0
    assert not any(psutil.pid_exists(pid) for pid in [supervisor, *children])
    assert "not running" in store.run("down").stdout
    # What remains of a pid file does not matter, even where the pid is somebody else's by now.
    (store.data_dir / "supervisor.lock").write_text(json.dumps({"pid": os.getpid(), "at": 1.0}))
    (store.data_dir / "supervisor.json").write_text(
        json.dumps({"url": "", "ready": True, "children": {"web": [{"pid": os.getpid(), "at": 1.0}]}})
    )
    assert store.run("up", "--detach").returncode == 0
    assert store.demo == demo
    store.ask()


def test_ctrl_c_in_the_middle_of_a_start_stops_everything() -> None:
    with tempfile.TemporaryDirectory(prefix="store-up-") as folder:
        check_ctrl_c(Store(Path(folder) / "data", free_port()))


def check_ctrl_c(other: Store) -> None:
    command = [sys.executable, "-m", "store.bringup", "up"]
    process = subprocess.Popen(command, cwd=ROOT, env=other.environment, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for line in process.stdout:  # in the middle of the start
        if "Updating the database" in line:
            break
    process.send_signal(signal.SIGINT)
    assert "Stopping the store" in process.stdout.read()
    assert process.wait(WAIT_S) == 0
    assert not (other.data_dir / "supervisor.json").exists()


def test_what_the_readme_tells_to_type_works(store: Store) -> None:
    first_call = next(block for block in blocks("sh") if "curl" in block)
    export = first_call.splitlines()[0]
    assert json.loads(store.shell(first_call))["usage"]["completion_tokens"] > 0
    python = f"{sys.executable} - <<'END'\n{blocks('python')[0]}END\n"
    assert store.shell(f"{export}\n{python}").strip()
    publish = next(block for block in blocks("sh") if "manage.py publish" in block)
    assert "globe/bard-too is published" in store.shell(publish)
    assert "globe/bard-too is what it was" in store.shell(publish)
