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
