"""A running store for tests: a real uvicorn process and stub workers, on the session's own Postgres and Valkey."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator

import httpx
import pytest
import redis
from django.core.management import call_command
from django.db import connection
from openai import OpenAI
from pytest_django.plugin import DjangoDbBlocker

from bench.stage import Stage, make_key
from store.ledger.audit import audit
from store.ledger.models import Wallet, WalletKind
from store.runs.models import Run, RunStatus
from tests.servers import Servers
from tests.waiting import PATIENCE_S

SHORT = {"START_LEASE_S": "1.5", "RUN_LEASE_S": "2.5", "QUEUE_LIMIT_S": "12", "SLOW_CLIENT_S": "3"}


class Live(Stage):
    """The store under test. ``issued`` opens ``listing``, paid by ``buyer``."""

    def __init__(self, servers: Servers) -> None:
        super().__init__()
        self.servers = servers
        self.redis = redis.Redis.from_url(servers.redis_url)
        self.listing, self.issued = make_key()
        self.model, self.secret = self.listing.name, self.issued.secret
        self.buyer = self.issued.api_key.organization
        self.url = self.start_web()
        self.bare = httpx.Client(timeout=PATIENCE_S, verify=False)
        authorization = {"Authorization": f"Bearer {self.secret}"}
        self.http = httpx.Client(base_url=self.url, headers=authorization, timeout=PATIENCE_S, verify=False)

    def env(self) -> dict[str, str]:
        """The environment of a process that works on the test's database."""
        database_url = self.servers.database_url.replace("/store?", f"/{connection.settings_dict['NAME']}?")
        where = {
            "DATA_DIR": str(self.servers.data_dir),
            "DATABASE_URL": database_url,
            "REDIS_URL": self.servers.redis_url,
        }
        return {**self.plain_env(), **where, **SHORT, "SECRET_KEY": "test", "LOG_LEVEL": "INFO"}

    def openai(self) -> OpenAI:
        """The official client. It does not try again: whatever goes wrong is seen."""
        return OpenAI(base_url=f"{self.url}/v1", api_key=self.secret, max_retries=0, http_client=self.bare)

    def wallet(self) -> Wallet:
        """The buyer's credit, as it is now."""
        return Wallet.objects.get(organization=self.buyer, kind=WalletKind.CREDIT)

    def last_run(self) -> Run:
        """The newest run, once it is settled."""
        wait_until(lambda: not Run.objects.filter(status=RunStatus.OPEN).exists())
        return Run.objects.latest("id")

    def logged(self) -> str:
        """Everything that the processes have logged."""
        return (self.data_dir / "log").read_text()

    def kill(self, name: str) -> None:
        """As ``kill -9`` does it."""
        process = self.processes.pop(name)
        process.kill()
        process.wait()


def wait_until(holds: Callable[[], object], *, timeout_s: float = PATIENCE_S) -> None:
    """Raises TimeoutError where ``holds`` stays false."""
    until = time.monotonic() + timeout_s
    while not holds():
        if time.monotonic() > until:
            raise TimeoutError
        time.sleep(0.02)


@pytest.fixture(scope="module")
def live(servers: Servers, django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Generator[Live, None, None]:
    """One store for a module, whose tests see what it commits. Afterwards the books are right, and the database is empty."""
    with django_db_blocker.unblock():
        with Live(servers) as live:
            yield live
        assert audit() == []
        call_command("flush", interactive=False, verbosity=0)
        live.redis.flushall()
        connection.close()


@pytest.fixture(autouse=True)
def db(live: Live) -> None:
    """In the place of pytest-django's: a live store's rows are committed, so no transaction goes round a test."""
