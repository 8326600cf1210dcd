"""The lock files: everything pinned, everything hashed, one version of each package, nothing imported that is not there."""

from __future__ import annotations

import ast
import importlib.metadata
import re
import sys
from pathlib import Path

import pytest

from tests.house.tree import ROOT, files, shipped

LOCKS = sorted((ROOT / "requirements").glob("*.txt"))
PIN = re.compile(r"^([a-z0-9._-]+)(?:\[[a-z,]+\])?==(\S+)", re.MULTILINE)
OWN = {"store", "inference", "workers", "tests", "bench"}
CPU_MODULES = {
    "check.py", "conversions.py", "cpu.py", "data.py", "fetch.py", "hub_data.py", "measure.py", "money.py", "notices.py", "payments.py", "payouts.py", "rank.py", "reap.py", "shelf.py", "slots.py", "snapshot.py",
    "storage.py", "tuning.py", "webhooks.py",
}  # fmt: skip


def pins(lock: Path) -> dict[str, str]:
    return dict(PIN.findall(lock.read_text()))


def imported(paths: list[Path]) -> set[str]:
    """The distributions that these modules import."""
    modules = set()
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                modules |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                modules.add(node.module.split(".")[0])
    owners = importlib.metadata.packages_distributions()
    third = modules - OWN - sys.stdlib_module_names
    return {re.sub(r"[-_.]+", "-", owners[module][0]).lower() for module in third}


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_every_requirement_is_pinned_with_a_hash(lock: Path) -> None:
    logical = lock.read_text().replace("\\\n", " ").splitlines()
    requirements = [line for line in logical if line.strip() and not line.startswith("#")]
    assert requirements
    for line in requirements:
        assert PIN.match(line), line[:80]
        assert "--hash=sha256:" in line, line[:80]


def test_a_package_has_one_version_in_all_lock_files() -> None:
    versions: dict[str, set[str]] = {}
    for lock in LOCKS:
        for package, version in pins(lock).items():
            versions.setdefault(package, set()).add(version.split("+")[0])
    assert {package: found for package, found in versions.items() if len(found) > 1} == {}


def test_what_the_store_imports_is_in_its_lock() -> None:
    paths = [
        *files(".py", under="store"),
        *(ROOT / "workers" / module for module in CPU_MODULES if (ROOT / "workers" / module).exists()),
    ]
    assert imported(paths) <= set(pins(ROOT / "requirements" / "store.txt"))


def test_what_a_gpu_worker_imports_is_in_its_lock() -> None:
    sample = ROOT / "inference" / "sample"  # pretraining is run by a person
    paths = [
        path
        for path in shipped()
        if path.parts[len(ROOT.parts)] != "store" and path.name not in CPU_MODULES and sample not in path.parents
    ]
    locked = {**pins(ROOT / "requirements" / "worker.txt"), **pins(ROOT / "requirements" / "training.txt")}
    assert imported(paths) - {"torch"} <= set(locked)


def test_what_the_tests_import_is_in_the_lock_of_development() -> None:
    paths = [*files(".py", under="tests"), *files(".py", under="bench")]
    locked = {**pins(ROOT / "requirements" / "dev.txt"), **pins(ROOT / "requirements" / "training.txt")}
    assert imported(paths) - {"torch"} <= set(locked)


def test_torch_is_pinned_to_one_version_for_every_machine() -> None:
    assert pins(ROOT / "requirements" / "torch.txt")["torch"] == pins(ROOT / "requirements" / "torch-cpu.txt")[
        "torch"
    ].removesuffix("+cpu")
