"""A till; after every test here the books are right."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from store.ledger.audit import audit
from tests.sandboxed import till

__all__ = ["till"]


@pytest.fixture(autouse=True)
def proven(db: None) -> Iterator[None]:
    yield
    assert audit() == []
