"""Waiting for something that happens in another process."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

POLL_S = 0.02
PATIENCE_S = 90.0  # a machine with much else to do; what comes about at once costs nothing
T = TypeVar("T")


def await_that(condition: Callable[[], T | None], what: str, *, timeout_s: float = PATIENCE_S) -> T:
    """Polls until the condition holds, and returns what it returned."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout_s:g} s: {what}")
        time.sleep(POLL_S)
