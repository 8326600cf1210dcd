"""Who may import whom. The contracts are in pyproject.toml."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import grimp

from tests.house.tree import ROOT

KNOWN_OF_INFERENCE = {
    "inference.wire",
    "inference.manifest",
    "inference.prompt",
    "inference.architectures",
    "inference.errors",
    "inference.isolation",
    "inference.training.auto",
    "inference.training.shape",
}


def test_every_import_contract_is_kept() -> None:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    done = subprocess.run(
        command,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr


def test_of_inference_the_store_knows_the_messages_the_manifest_the_prompt_and_what_auto_means() -> None:
    graph = grimp.build_graph("store", "inference", cache_dir=None)
    known = {
        imported
        for module in graph.find_descendants("store")
        for imported in graph.find_modules_directly_imported_by(module)
        if imported.startswith("inference")
    }
    assert known <= KNOWN_OF_INFERENCE


def test_the_wire_and_the_manifest_need_nothing_but_python() -> None:
    code = "import sys, inference.wire, inference.manifest; print(*{m.split('.')[0] for m in sys.modules} - sys.stdlib_module_names)"
    done = subprocess.run([sys.executable, "-S", "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) == {"inference", "__main__"}
