"""What a GPU worker takes from its environment."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from store import embedded
from tests.workers.processes import ROOT
from workers import settings


@pytest.mark.parametrize("folder", ["/srv/store/.data", "/srv/" + "long/" * 30 + ".data"])
def test_the_default_leads_to_the_stores_own_redis(folder: str) -> None:
    assert settings.embedded_redis_url(Path(folder)) == embedded.redis_url(Path(folder))


def read(*, name: str, **environment: str) -> subprocess.CompletedProcess[str]:
    code = f"from workers import settings; print(settings.{name})"
    return subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=ROOT, capture_output=True, text=True, check=False
    )


def test_the_broker_is_the_same_redis_unless_it_is_named() -> None:
    url = read(name="BROKER_URL", DATA_DIR="/srv/data").stdout.strip()
    assert url == embedded.broker_url(embedded.redis_url(Path("/srv/data")))
    assert read(name="BROKER_URL", BROKER_URL="amqp://rabbit").stdout.strip() == "amqp://rabbit"


@pytest.mark.parametrize(
    ("name", "value"), [("GPU_SLOTS", "0"), ("MAX_BATCH", "many"), ("DRAIN_S", "-1"), ("ENGINE", "steam")]
)
def test_a_setting_that_makes_no_sense_is_told(name: str, value: str) -> None:
    done = read(name=name, **{name: value})
    assert done.returncode != 0
    assert "BadSetting" in done.stderr
    assert name in done.stderr


def test_a_gpu_worker_imports_nothing_of_the_store() -> None:
    code = "import sys, workers.gpu; print(*sorted(m for m in sys.modules if m.split('.')[0] == 'store'))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, env={})
    assert done.stdout.split() == []
