"""Installs lock files into .venv, with hashes, and only what has changed: ``python3 requirements/install.py store worker torch``.

Standard library only: it runs before anything is installed. The lock files are complete, so pip resolves nothing (--no-deps).
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
VENV = Path(os.environ.get("VENV", HERE.parent / ".venv"))
PYTHON = VENV / "bin" / "python"
STAMPS = VENV / "installed.json"  # lock file -> hash of what was installed
MIN_PYTHON = (3, 11)
NEEDED_BYTES = {"torch-cpu": 1_500_000_000, "torch": 6_000_000_000, "cuda": 4_000_000_000}
# Whether this torch's own metadata asks for packages that a CPU build does not need.
ASKS_FOR_CUDA = "import importlib.metadata as m; print(any('nvidia' in r and 'extra ==' not in r for r in m.requires('torch') or []))"


def main(names: list[str]) -> int:
    if sys.version_info < MIN_PYTHON:
        return fail(
            f"This needs Python {MIN_PYTHON[0]}.{MIN_PYTHON[1]} or newer, and python3 is {sys.version.split()[0]}. make PYTHON=python3.12"
        )
    if not works(PYTHON) and not make_venv():
        return fail("python3 cannot make a virtual environment. On Debian: apt-get install python3-venv")
    done = install([name for name in names if name != "torch"])
    if done and "torch" in names:
        done = install_torch()
    return 0 if done else 1


def works(python: Path) -> bool:
    """Whether the environment is there, and the Python that it was made from, too."""
    return (
        python.exists()
        and subprocess.run([python, "-c", "import pip"], capture_output=True, check=False).returncode == 0
    )


def make_venv() -> bool:
    print(f"Making {VENV}")
    shutil.rmtree(VENV, ignore_errors=True)
    return subprocess.run([sys.executable, "-m", "venv", VENV], check=False).returncode == 0


def install_torch() -> bool:
    """The CPU build where no GPU is seen and pip knows an index that has it; else the public one, with the CUDA it asks for."""
    if not has_gpu() and outdated(["torch"]) and install(["torch-cpu"], is_optional=True):
        return True
    if not install(["torch"]):
        return False
    asks = subprocess.run([PYTHON, "-c", ASKS_FOR_CUDA], capture_output=True, text=True, check=True).stdout
    return asks.strip() != "True" or install(["cuda"])


def has_gpu() -> bool:
    return Path("/dev/nvidiactl").exists() or shutil.which("nvidia-smi") is not None


def outdated(names: list[str]) -> dict[str, str]:
    """Those lock files that differ from what was installed, with their hashes."""
    stamps = json.loads(STAMPS.read_text()) if STAMPS.exists() else {}
    wanted = {name: hashlib.sha256((HERE / f"{name}.txt").read_bytes()).hexdigest() for name in names}
    return {name: digest for name, digest in wanted.items() if stamps.get(name) != digest}


def install(names: list[str], *, is_optional: bool = False) -> bool:
    """Installs what is outdated."""
    changed = outdated(names)
    if not changed:
        return True
    need, free = max(NEEDED_BYTES.get(name, 0) for name in changed), shutil.disk_usage(VENV).free
    if free < need:
        fail(
            f"Only {free / 1e9:.1f} GB are free where {VENV} is, and {' and '.join(changed)} need {need / 1e9:.1f} GB."
        )
        return False
    if not run_pip(list(changed), is_optional=is_optional):
        return False
    stamps = json.loads(STAMPS.read_text()) if STAMPS.exists() else {}
    STAMPS.write_text(json.dumps(stamps | changed, indent=1))
    return True


def run_pip(names: list[str], *, is_optional: bool) -> bool:
    """One run of pip over some lock files, its progress on one line."""
    total = len({line.split("==")[0] for name in names for line in pinned(HERE / f"{name}.txt")})
    command = [
        str(PYTHON),
        "-m",
        "pip",
        "install",
        "--no-deps",
        "--require-hashes",
        "--no-input",
        "--progress-bar",
        "off",
    ]
    command += ["--disable-pip-version-check", *(part for name in names for part in ("-r", str(HERE / f"{name}.txt")))]
    began, count, said = time.monotonic(), 0, []
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    for line in process.stdout:
        said.append(line)
        if found := re.match(r"(?:Collecting|Requirement already satisfied:) ([^\s;(]+)", line):
            count += 1
            show(f"Installing {total} packages: {min(count, total)} {found[1]}", keep=count % 25 == 0)
        elif line.startswith("Installing collected"):
            show(f"Installing {total} packages: unpacking", keep=True)
    if process.wait() != 0:
        if not is_optional:
            fail("\npip could not install the packages:\n" + "".join(said[-15:]))
        return False
    show(f"Installed {total} packages in {time.monotonic() - began:.0f} s", keep=True, last=True)
    return True


def pinned(lock: Path) -> list[str]:
    return [line for line in lock.read_text().splitlines() if "==" in line and not line.lstrip().startswith("#")]


def show(text: str, *, keep: bool, last: bool = False) -> None:
    """Overwrites the line on a terminal; elsewhere prints what is worth keeping."""
    if sys.stdout.isatty():
        print(f"\r\033[K{text}", end="\n" if last else "", flush=True)
    elif keep:
        print(text, flush=True)


def fail(message: str) -> int:
    print(message, file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
