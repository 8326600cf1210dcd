"""Writes the hashes of the builds of torch that this project may meet, and what the CUDA builds ask for.

    python requirements/pin_torch.py 2.13.0

torch is the one package whose build depends on the machine. The public index has CUDA builds for Linux (torch.txt), which need
twenty packages more (cuda.in). Where pip is configured with an index of ``+cpu`` builds, those are pinned, too (torch-cpu.txt): ten
times smaller, for machines without a GPU. pip is asked with the configuration of this machine and without it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_28_aarch64")


def ask_pip(version: str, python: str, platform: str, environment: dict[str, str]) -> dict[str, Any]:
    """pip's report of the build that it would install there."""
    with tempfile.TemporaryDirectory() as target:
        command = [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--dry-run",
            "--ignore-installed",
            "--no-deps",
            "--report",
            "-",
        ]
        command += [
            "--only-binary=:all:",
            "--target",
            target,
            "--python-version",
            python,
            "--platform",
            platform,
            f"torch=={version}",
        ]
        done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    item: dict[str, Any] = json.loads(done.stdout)["install"][0]
    return item


def main(version: str) -> None:
    plain = {k: v for k, v in os.environ.items() if k not in ("PIP_FIND_LINKS", "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL")}
    plain["PIP_CONFIG_FILE"] = os.devnull
    hashes: dict[str, set[str]] = {}  # by version, "2.13.0" and "2.13.0+cpu"
    asked: set[str] = set()
    for environment in (plain, dict(os.environ)):
        for python in PYTHONS:
            for platform in PLATFORMS:
                item = ask_pip(version, python, platform, environment)
                hashes.setdefault(item["metadata"]["version"], set()).add(
                    item["download_info"]["archive_info"]["hashes"]["sha256"]
                )
                asked |= {need for need in item["metadata"]["requires_dist"] if "platform_system" in need}
    for name, found in (("torch.txt", version), ("torch-cpu.txt", f"{version}+cpu")):
        if found in hashes:
            lines = " \\\n".join(f"    --hash=sha256:{one}" for one in sorted(hashes[found]))
            (HERE / name).write_text(f"torch=={found} \\\n{lines}\n")
    note = "# What torch's CUDA builds ask for; written by pin_torch.py.\n"
    (HERE / "cuda.in").write_text(note + "-c dev.txt\n" + "".join(f"{need}\n" for need in sorted(asked)))


if __name__ == "__main__":
    main(sys.argv[1])
