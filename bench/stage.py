"""A store of its own for a measurement: embedded Postgres and Valkey, one web process, stub workers, a key with hard limits."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from store.catalog.models import Listing
    from store.keys.actions import IssuedKey

ROOT = Path(__file__).resolve().parent.parent
CORPUS = ROOT / "inference" / "sample" / "corpus" / "shakespeare_poems.txt"
OF_A_STORE = frozenset({"DATABASE_URL", "REDIS_URL", "BROKER_URL", "DATA_DIR", "DJANGO_SETTINGS_MODULE"})
VOCABULARY, CONTEXT = 1000, 1024  # tokens


class Stage:
    """Servers in a folder of their own, stopped and deleted at the end."""

    def __init__(self) -> None:
        self.data_dir = Path(tempfile.mkdtemp(prefix="gpt-store-bench-"))
        self.data_dir.chmod(0o755)  # Postgres runs as another user
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.log = open(self.data_dir / "log", "ab")  # noqa: SIM115 - the children keep it

    def __enter__(self) -> Stage:
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()
        shutil.rmtree(self.data_dir, ignore_errors=True)

    def stop(self) -> None:
        """Ends every process that was started here."""
        for process in reversed(self.processes.values()):
            process.terminate()
        for process in reversed(self.processes.values()):
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()

    def start_servers(self) -> None:
        """Postgres (durable, as in production) and Valkey, an empty database, and Django in this process."""
        from store import embedded

        embedded.prepare_postgres(self.data_dir)
        self.spawn("postgres", embedded.postgres_command(self.data_dir), user=embedded.postgres_user(), cwd="/")
        self.spawn("valkey", embedded.valkey_command(self.data_dir))
        embedded.wait_for_postgres(embedded.database_url(self.data_dir))
        embedded.wait_for_valkey(embedded.redis_url(self.data_dir))
        embedded.create_database(embedded.database_url(self.data_dir))
        os.environ.update(self.env())
        import django

        from store.settings import configure

        configure()
        django.setup()
        from django.core.management import call_command

        call_command("migrate", verbosity=0)

    def plain_env(self) -> dict[str, str]:
        """This process's environment, without what names another store."""
        return {name: value for name, value in os.environ.items() if name not in OF_A_STORE}

    def env(self) -> dict[str, str]:
        """The environment in which a process finds this store."""
        from store import embedded

        return {
            **self.plain_env(),
            "DATA_DIR": str(self.data_dir),
            "DATABASE_URL": embedded.database_url(self.data_dir),
            "REDIS_URL": embedded.redis_url(self.data_dir),
            "SECRET_KEY": "bench",
            "LOG_LEVEL": "WARNING",
        }

    def start_web(self, name: str = "web") -> str:
        """One web process; returns its URL once it answers."""
        port = free_port()
        self.spawn(name, [sys.executable, "-m", "store.web"], env={**self.env(), "WEB_PORT": str(port)})
        wait_for_port(port)
        return f"http://127.0.0.1:{port}"

    def start_stub(self, name: str = "stub", **env: str) -> None:
        """A stub worker; returns once it has reported itself."""
        import redis

        from inference import wire

        client = redis.Redis.from_url(self.env()["REDIS_URL"])
        client.delete(wire.REPLICA_PREFIX + name)  # the report of one that had this name before
        options = [
            "--pool",
            "solo",
            "-Q",
            wire.COLD_QUEUE,
            "--without-gossip",
            "--without-mingle",
            "--loglevel",
            "WARNING",
        ]
        command = [sys.executable, "-m", "celery", "-A", "bench.stub", "worker", "-n", f"{name}@bench", *options]
        self.spawn(name, command, env={**self.env(), "STUB_NAME": name, **env})
        until = time.monotonic() + 30
        while not client.exists(wire.REPLICA_PREFIX + name):
            if time.monotonic() > until:
                raise TimeoutError((self.data_dir / "log").read_text()[-4000:])
            time.sleep(0.05)

    def cpu_s(self, name: str) -> float:
        """Processor seconds that a process has used, its threads included."""
        fields = Path(f"/proc/{self.processes[name].pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def spawn(
        self,
        name: str,
        command: Sequence[str],
        *,
        user: str | None = None,
        cwd: str | Path = ROOT,
        env: dict[str, str] | None = None,
    ) -> None:
        self.processes[name] = subprocess.Popen(
            command, user=user, cwd=cwd, env=env, stdout=self.log, stderr=self.log, start_new_session=True
        )


def make_key() -> tuple[Listing, IssuedKey]:
    """A listing, a funded consumer, and a key with every kind of limit, none of them near."""
    from store.accounts.actions import ensure_personal_organization
    from store.accounts.models import ProviderProfile, User
    from store.billing.actions import top_up_test
    from store.catalog.models import Listing, ListingStatus, Price, Release
    from store.keys.actions import issue_key
    from store.keys.models import Period

    seller, buyer = (
        ensure_personal_organization(User.objects.create_user(f"{n}@example.com")) for n in ("seller", "buyer")
    )
    ProviderProfile.objects.create(organization=seller)
    listing = Listing.objects.create(organization=seller, slug="stub", title="Stub", licence="apache-2.0")
    release = Release.objects.create(
        listing=listing, number=1, digest=f"sha256:{1:064x}", size=1, architecture="GPT2LMHeadModel", parameters=1,
        context_length=CONTEXT, vocab_size=VOCABULARY,
    )  # fmt: skip
    write_tokenizer(Path(os.environ["DATA_DIR"]) / "cache" / "releases" / f"{1:064x}")
    Price.objects.create(
        listing=listing, input_nano=100_000_000, cached_input_nano=100_000_000, output_nano=400_000_000
    )
    Listing.objects.filter(pk=listing.pk).update(current_release=release, status=ListingStatus.PUBLISHED)
    listing.refresh_from_db()
    user = buyer.personal_of
    assert user
    top_up_test(organization=buyer, user=user, amount_nano=1000 * 10**9)
    budgets = [(None, Period.DAY, 900 * 10**9), (listing, Period.MONTH, 900 * 10**9)]
    issued = issue_key(
        organization=buyer, user=user, name="bench", listings=[listing], requests_per_minute=10_000_000,
        tokens_per_minute=100_000_000, max_parallel=10_000, budgets=budgets,
    )  # fmt: skip
    return listing, issued


def write_tokenizer(folder: Path) -> None:
    """The small files of a release: a byte-level BPE, trained on the spot."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    if folder.exists():
        return
    folder.mkdir(parents=True)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY, special_tokens=["<|end|>"], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train([str(CORPUS)], trainer)
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({"eos_token": "<|end|>"}))
    config = {
        "architectures": ["GPT2LMHeadModel"],
        "model_type": "gpt2",
        "vocab_size": VOCABULARY,
        "n_positions": CONTEXT,
    }
    (folder / "config.json").write_text(json.dumps({**config, "eos_token_id": 0, "bos_token_id": 0}))


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def wait_for_port(port: int, *, timeout_s: float = 60) -> None:
    """Returns once something answers HTTP there. Raises TimeoutError."""
    until = time.monotonic() + timeout_s
    while True:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/models", timeout=5).close()
            return
        except urllib.error.HTTPError:
            return
        except OSError as error:
            if time.monotonic() > until:
                raise TimeoutError(f"nothing answers on port {port}: {error}") from error
            time.sleep(0.05)
