"""A whole store as processes, on the servers of this session: web processes that share a socket, GPU workers, the CPU worker and its clock.

Leases are short, so that failover takes seconds. Each module that asks for it gets one, with a database of its own.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import openai
import psycopg
import pytest
import redis
from django.core.management import call_command
from django.db import connection
from pytest_django.plugin import DjangoDbBlocker

from inference import wire
from store.accounts.actions import become_provider, ensure_personal_organization, sign_up
from store.accounts.models import Organization
from store.billing.actions import top_up_test
from store.catalog.actions import PriceSpec, publish_folder
from store.catalog.models import Listing
from store.fleet.fleet import REFRESH_S
from store.keys.actions import issue_key
from tests.servers import Servers
from tests.tiny_model import write_model
from tests.waiting import await_that

ROOT = Path(__file__).resolve().parents[1]
LEASES = {"START_LEASE_S": "3", "RUN_LEASE_S": "2.5", "RUN_DEADLINE_S": "120"}
PRICE = PriceSpec(input_nano=100_000_000, cached_input_nano=50_000_000, output_nano=400_000_000)
CREDIT_NANO = 1_000 * 10**9
READY_S = 180  # a machine with much else to do


@dataclass(kw_only=True)
class Part:
    """One process of the store."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def pid(self) -> int:
        return self.process.pid

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def kill(self) -> None:
        """At once, as the kernel does when memory is short."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
        self.process.wait()

    def terminate(self, *, timeout_s: float = 60) -> int:
        """As its supervisor does; returns the exit status."""
        self.process.terminate()
        return self.process.wait(timeout_s)


class Stack:
    """Starts and stops the parts of a store."""

    def __init__(self, servers: Servers, folder: Path) -> None:
        self.servers = servers
        self.parts: list[Part] = []
        self._folder = folder
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.redis = redis.Redis.from_url(servers.redis_url)

    def start_web(self, count: int = 1, **environment: str) -> list[Part]:
        """Web processes on the shared socket; returns once each has registered its gateway."""
        command = [sys.executable, "-m", "store.web", "--fd", str(self._listener.fileno())]
        before = self._gateways()
        parts = [self._start("web", command, environment, pass_fds=(self._listener.fileno(),)) for _ in range(count)]
        self._await(parts, lambda: len(self._gateways() - before) >= count, "every gateway is registered")
        time.sleep(2 * REFRESH_S)  # it has looked for workers by then
        return parts

    def start_gpu(self, count: int = 1, *, wait: bool = True, **environment: str) -> list[Part]:
        """GPU workers; with ``wait``, returns once each has reported. They know nothing of the database."""
        own = {
            "DATABASE_URL": "",
            "SECRET_KEY": "",
            "DEVICE": "cpu",
            "TORCH_THREADS": "1",
            "GPU_SLOTS": "32",
            **environment,
        }
        parts = [self._start("gpu", [sys.executable, "-m", "workers.gpu"], own) for _ in range(count)]
        if wait:
            self._await(parts, lambda: all(self.report(part) for part in parts), "every GPU worker reports")
            time.sleep(2 * REFRESH_S)  # every gateway has seen them by then
        return parts

    def start_cpu(self, count: int = 1, **environment: str) -> list[Part]:
        """CPU workers, and the clock that tells them what is due."""
        celery = [sys.executable, "-m", "celery", "-A", "workers.cpu"]
        worker = [
            *celery,
            "worker",
            "--pool",
            "threads",
            "-c",
            "2",
            "--loglevel",
            "INFO",
            "--without-gossip",
            "--without-mingle",
            "--without-heartbeat",
        ]
        beat = [*celery, "beat", "--loglevel", "INFO", "--schedule", str(self._folder / "beat-schedule"), "--pidfile="]
        workers = [self._start("cpu", worker, environment) for _ in range(count)]
        return [*workers, self._start("beat", beat, environment)]

    def report(self, part: Part) -> wire.Replica | None:
        """What a GPU worker last said of itself."""
        for name in self.redis.smembers(wire.REPLICAS):
            if name.decode().endswith(f"-{part.pid}"):
                data = self.redis.get(wire.REPLICA_PREFIX + name.decode())
                return wire.Replica.decode(data) if data else None
        return None

    def client(self, secret: str, **options: object) -> openai.OpenAI:
        """The official client; it does not try again by itself unless it is told to."""
        return openai.OpenAI(base_url=f"{self.url}/v1", api_key=secret, **{"max_retries": 0, "timeout": 120, **options})  # type: ignore[arg-type]

    def stop(self) -> None:
        for part in self.parts:
            part.kill()
        self._listener.close()
        self.redis.close()

    def _start(
        self, name: str, command: list[str], environment: dict[str, str], *, pass_fds: tuple[int, ...] = ()
    ) -> Part:
        log = self._folder / f"{name}-{len(self.parts)}.log"
        with log.open("ab") as out:
            process = subprocess.Popen(
                command, cwd=ROOT, env=self._environment() | environment, stdout=out, stderr=out, pass_fds=pass_fds,
                start_new_session=True,
            )  # fmt: skip
        part = Part(name=name, process=process, log=log)
        self.parts.append(part)
        return part

    def _environment(self) -> dict[str, str]:
        name = connection.settings_dict["NAME"]
        return {
            **{key: value for key, value in os.environ.items() if key != "DJANGO_SETTINGS_MODULE"},
            **LEASES,
            "DATABASE_URL": psycopg.conninfo.make_conninfo(self.servers.database_url, dbname=name),
            "PUBLIC_URL": self.url,
            "LOG_LEVEL": "INFO",
        }

    def _gateways(self) -> set[object]:
        with connection.cursor() as cursor:
            cursor.execute("SELECT id FROM runs_gateway")
            return {row[0] for row in cursor.fetchall()}

    def _await(self, parts: list[Part], condition: Callable[[], bool], what: str) -> None:
        def holds() -> bool:
            for part in parts:
                assert part.process.poll() is None, f"{part.name} has died:\n{part.log.read_text()[-4000:]}"
            return condition()

        await_that(holds, what, timeout_s=READY_S)


@dataclass(frozen=True, kw_only=True)
class Shop:
    """What there is to call, and who calls it."""

    listing: Listing
    organization: Organization  # the consumer's
    secret: str  # of the consumer's key, without limits

    @property
    def model(self) -> str:
        return self.listing.name


def open_shop(folder: Path, price: PriceSpec = PRICE) -> Shop:
    """A provider with a published model, a consumer with credit and a key."""
    provider = sign_up(
        email="provider@example.com", password="correct horse battery", name="Provider", is_verified=True
    )
    seller = ensure_personal_organization(provider)
    become_provider(organization=seller, user=provider)
    release = publish_folder(
        organization=seller, user=provider, folder=folder, slug="tiny", price=price, title="Tiny", licence="apache-2.0"
    )
    consumer = sign_up(
        email="consumer@example.com", password="correct horse battery", name="Consumer", is_verified=True
    )
    buyer = ensure_personal_organization(consumer)
    top_up_test(organization=buyer, user=consumer, amount_nano=CREDIT_NANO)
    issued = issue_key(organization=buyer, user=consumer, name="test", listings=[release.listing])
    return Shop(listing=release.listing, organization=buyer, secret=issued.secret)


@contextmanager
def connected_to(database: str) -> Iterator[None]:
    """Lets Django's models see another database for a while."""
    own = connection.settings_dict["NAME"]
    connection.close()
    connection.settings_dict["NAME"] = database
    try:
        yield
    finally:
        connection.close()
        connection.settings_dict["NAME"] = own


@pytest.fixture(scope="session")
def migrated(servers: Servers, django_db_blocker: DjangoDbBlocker) -> str:
    """The name of a database with all tables and no rows, to be copied."""
    name = "migrated"
    with django_db_blocker.unblock(), connected_to("postgres"), connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
    with django_db_blocker.unblock(), connected_to(name):
        call_command("migrate", interactive=False, verbosity=0)
    return name


@pytest.fixture(scope="module")
def stack(
    servers: Servers, migrated: str, django_db_blocker: DjangoDbBlocker, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    """A store without parts: a module starts those that it needs. Its database is the one that models see in this module."""
    name = f"stack_{uuid.uuid4().hex[:8]}"
    _empty_redis(servers)  # of other tests' rate limits, too: a second mail to one address waits for three minutes
    with django_db_blocker.unblock():
        with connected_to("postgres"), connection.cursor() as cursor:
            cursor.execute(f"CREATE DATABASE {name} TEMPLATE {migrated}")
        with connected_to(name):
            made = Stack(servers, tmp_path_factory.mktemp("stack"))
            try:
                yield made
            finally:
                made.stop()
        with connected_to("postgres"), connection.cursor() as cursor:
            cursor.execute(f"DROP DATABASE {name} WITH (FORCE)")
    _empty_redis(servers)


def _empty_redis(servers: Servers) -> None:
    with redis.Redis.from_url(servers.redis_url) as client:
        client.flushall()


@pytest.fixture(scope="module")
def shop(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """A tiny model in the stack's store, and a consumer of it."""
    return open_shop(write_model(tmp_path_factory.mktemp("model") / "tiny", width=64, layers=4))
