"""Every measurement, one table each: ``make bench``; some by name: ``python -m bench upload``.

Options of one of them: ``python -m bench.gateway --help``.
"""

from __future__ import annotations

import subprocess
import sys

from bench.stage import ROOT

MEASUREMENTS = (
    "engine",
    "adapters",
    "training",
    "tune_answer",
    "ledger",
    "months",
    "gateway",
    "store",
    "upload",
    "search",
    "usage",
    "dashboard",
)


def main() -> int:
    """In processes of their own, for each starts and stops servers. Returns how many failed."""
    failed = 0
    for name in sys.argv[1:] or MEASUREMENTS:
        print(f"\nbench.{name}", flush=True)
        failed += subprocess.run([sys.executable, "-m", f"bench.{name}"], cwd=ROOT, check=False).returncode != 0
    return failed


if __name__ == "__main__":
    sys.exit(main())
