#!/usr/bin/env bash
# Writes every lock file anew, from pyproject.toml and the *.in files here: one resolution (dev.txt), of which the others are parts.
# Run by `make lock`; UPGRADE=1 takes newer versions where the bounds allow.
set -euo pipefail
cd "$(dirname "$0")/.."
python=.venv/bin/python
torch=2.13.0

compile() {
  "$python" -m piptools compile --quiet --generate-hashes --no-emit-index-url --no-emit-find-links --no-emit-trusted-host \
    --no-emit-options --no-header --strip-extras --allow-unsafe --no-annotate ${UPGRADE:+--upgrade} "$@"
}

if ! grep -q "^torch==$torch " requirements/torch.txt; then
  "$python" requirements/pin_torch.py "$torch"
fi
compile --all-extras --output-file requirements/dev.txt pyproject.toml requirements/torch.in
compile --constraint requirements/dev.txt --output-file requirements/store.txt pyproject.toml
compile --output-file requirements/worker.txt requirements/worker.in
compile --output-file requirements/cuda.txt requirements/cuda.in

# What trains asks for torch, and so for CUDA. Kept is what dev.txt does not have: its versions are taken from there.
whole=$(mktemp)
trap 'rm -f "$whole"' EXIT
compile --output-file "$whole" requirements/training.in
"$python" - "$whole" requirements/training.txt <<'END'
import re, sys
from pathlib import Path

pinned = set(re.findall(r"^([\w.-]+)==", Path("requirements/dev.txt").read_text(), re.M))
blocks = re.split(r"^(?=\S)", Path(sys.argv[1]).read_text(), flags=re.M)
names = [block.partition("==")[0] for block in blocks]
torch = re.compile(r"(torch|triton|nvidia|cuda)\b")
kept = [block for name, block in zip(names, blocks, strict=True) if name[:1].isalnum() and name not in pinned and not torch.match(name)]
Path(sys.argv[2]).write_text("".join(kept))
END
compile --output-file requirements/data.txt requirements/data.in
