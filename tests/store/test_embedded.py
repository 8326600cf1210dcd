from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from store import embedded


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """Not in pytest's own folder, which is closed to the user that runs root's PostgreSQL."""
    with tempfile.TemporaryDirectory(prefix="store-embedded-") as folder:
        yield Path(folder) / "data"


def test_a_cluster_that_was_half_made_when_the_start_was_killed_is_made_anew(data_dir: Path) -> None:
    (data_dir / "postgres.partial").mkdir(parents=True)
    (data_dir / "postgres.partial" / "PG_VERSION").write_text("18\n")
    embedded.prepare_postgres(data_dir)
    assert (data_dir / "postgres" / "global" / "pg_control").exists()
    assert not (data_dir / "postgres.partial").exists()
    embedded.prepare_postgres(data_dir)  # and it is left as it is


def test_what_initdb_says_comes_with_its_failure(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (data_dir / "initdb").mkdir(parents=True)
    script = data_dir / "initdb" / "initdb"
    script.write_text("#!/bin/sh\necho 'no space left' >&2\nexit 1\n")
    script.chmod(0o755)
    monkeypatch.setattr(embedded, "POSTGRES_BIN_PATH", script.parent)
    with pytest.raises(subprocess.CalledProcessError) as failed:
        embedded.prepare_postgres(data_dir)
    assert failed.value.stderr == "no space left\n"
    assert not (data_dir / "postgres").exists()


def test_a_path_too_long_for_a_socket_is_replaced_by_a_short_one(tmp_path: Path) -> None:
    deep = tmp_path / ("x" * 100)
    assert len(bytes(embedded.socket_dir(deep))) <= embedded.SOCKET_PATH_LIMIT
    assert embedded.socket_dir(Path("/srv/data")) == Path("/srv/data/run")


def test_a_secret_is_made_once_and_is_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "secret_key"
    made = embedded.stored_secret(path)
    assert len(made) >= 60
    assert embedded.stored_secret(path) == made
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_libpq_url_becomes_djangos_settings() -> None:
    made = embedded.django_database("postgresql://me:word@db.example:5433/shop?sslmode=require")
    assert (made["NAME"], made["USER"], made["PASSWORD"], made["HOST"], made["PORT"]) == (
        "shop",
        "me",
        "word",
        "db.example",
        "5433",
    )
    assert made["OPTIONS"] == {"sslmode": "require"}
