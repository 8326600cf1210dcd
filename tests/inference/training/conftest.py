"""A tiny GPT-2 to train."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tiny_families import write_family


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_family(tmp_path_factory.mktemp("trained") / "gpt2", "gpt2")


@pytest.fixture(scope="session")
def plain_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Without dropout: the same numbers, however a step is divided."""
    return write_family(tmp_path_factory.mktemp("trained") / "llama", "llama")
