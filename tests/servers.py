"""A pytest plugin that gives each test session its own Postgres and Valkey. Loaded before Django reads its settings."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Generator
from pathlib import Path

import pytest

from store import embedded

START_S = 90  # a machine with much else to do


class Servers:
    """The servers of this session, in a folder of their own; tests of faults stop and start them."""

    def __init__(self) -> None:
        self.data_dir = Path(tempfile.mkdtemp(prefix="store-test-"))
        self.data_dir.chmod(0o755)
        (self.data_dir / "static").mkdir()  # WhiteNoise wants to see it
        self.database_url = embedded.database_url(self.data_dir)
        self.redis_url = embedded.redis_url(self.data_dir)
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self) -> None:
        embedded.prepare_postgres(self.data_dir)
        self.start_postgres()
        self.start_valkey()
        embedded.create_database(self.database_url)

    def start_postgres(self) -> None:
        # Tests measure no durability: what survives kill -9 of the server is tested with this option reversed.
        command = [*embedded.postgres_command(self.data_dir), "-c", "fsync=off"]
        self.processes["postgres"] = self._spawn(command, user=embedded.postgres_user())
        embedded.wait_for_postgres(self.database_url, timeout_s=START_S)

    def start_valkey(self) -> None:
        self.processes["valkey"] = self._spawn(embedded.valkey_command(self.data_dir), user=None)
        embedded.wait_for_valkey(self.redis_url, timeout_s=START_S)

    def _spawn(self, command: list[str], *, user: str | None) -> subprocess.Popen[bytes]:
        log = open(self.data_dir / "servers.log", "ab")  # noqa: SIM115 - the child keeps it
        return subprocess.Popen(command, user=user, cwd="/", stdout=log, stderr=log, start_new_session=True)

    def stop(self) -> None:
        for process in self.processes.values():
            process.kill()  # the folder is thrown away
            process.wait()
        shutil.rmtree(self.data_dir, ignore_errors=True)


_servers: Servers | None = None


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_load_initial_conftests() -> Generator[None, None, None]:
    """Starts the servers before pytest-django loads the settings, which name them."""
    global _servers
    _servers = Servers()
    _servers.start()
    os.environ.update(
        DATA_DIR=str(_servers.data_dir),
        DATABASE_URL=_servers.database_url,
        REDIS_URL=_servers.redis_url,
        SECRET_KEY="test",
        OMP_NUM_THREADS="1",  # two threads that wait for each other on a busy core take thirty times as long as one
    )
    os.environ.pop("BROKER_URL", None)
    return (yield)


def pytest_unconfigure() -> None:
    if _servers:
        _servers.stop()


@pytest.fixture(scope="session")
def servers() -> Servers:
    """The Postgres and Valkey of this session."""
    assert _servers is not None
    return _servers
