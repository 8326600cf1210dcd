"""Faults of the whole store. ``--full`` (or FAULTS=full, as ``make faults`` says) counts as often as the record asks for."""

from __future__ import annotations

import os

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--full", action="store_true", help="run the tests of faults as often as docs/reliability.md says")


@pytest.fixture(scope="session")
def full(request: pytest.FixtureRequest) -> bool:
    """Whether to count in full: a short form is part of every test run."""
    return bool(request.config.getoption("--full", default=False)) or os.environ.get("FAULTS") == "full"
