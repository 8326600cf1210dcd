"""The container files: everything they copy is there, nothing runs as root, every setting can be given."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from tests.house.test_settings import READERS, read_by
from tests.house.tree import ROOT

DOCKERFILES = sorted((ROOT / "docker").glob("*.Dockerfile"))
COMPOSE = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text())
STORE_SERVICES = ("web", "sandbox", "cpu", "beat", "migrate")


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_what_a_dockerfile_copies_and_runs_is_there(path: Path) -> None:
    text = path.read_text()
    sources = [
        source for line in re.findall(r"^COPY (?!--from)(.+)$", text, re.MULTILINE) for source in line.split()[:-1]
    ]
    scripts = re.findall(r"(requirements/\w+\.py)", text)
    modules = [module.replace(".", "/") + ".py" for module in re.findall(r'"-m", "([\w.]+)"', text)]
    assert sources
    for wanted in [*sources, *scripts, *modules]:
        assert (ROOT / wanted).exists(), wanted
    for locks in re.findall(r"install\.py ([\w ]+)", text):
        assert all((ROOT / "requirements" / f"{lock}.txt").exists() for lock in locks.split())


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_a_container_does_not_run_as_root(path: Path) -> None:
    text = path.read_text()
    assert text.index("USER store") < text.index("CMD ")


def test_the_image_of_a_gpu_worker_holds_no_code_of_the_store() -> None:
    assert not re.search(r"^COPY (\S+ )*store ", (ROOT / "docker" / "gpu.Dockerfile").read_text(), re.MULTILINE)


def test_every_setting_can_be_given_to_the_containers_that_read_it() -> None:
    for service in STORE_SERVICES:
        assert set(COMPOSE["services"][service]["environment"]) == set(read_by(READERS["store"]))
    assert set(COMPOSE["services"]["gpu"]["environment"]) == set(read_by(READERS["workers"]))


def test_the_gpu_worker_is_told_no_secret() -> None:
    said = str(COMPOSE["services"]["gpu"])
    assert "SECRET_KEY" not in said
    assert "POSTGRES_PASSWORD" not in said
    assert "DATABASE_URL" not in said


def test_every_service_that_is_waited_for_exists_and_can_say_that_it_is_healthy() -> None:
    services = COMPOSE["services"]
    for service in services.values():
        for name, how in service.get("depends_on", {}).items():
            assert name in services
            assert how["condition"] == "service_completed_successfully" or "healthcheck" in services[name]
