"""Long work shares a CPU worker with short work that must not wait: only so much of it runs at once in a process."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Final

# All together they stay below the worker's --concurrency.
LONG_AT_ONCE: Final = 2  # checks and imports
READ_AT_ONCE: Final = 2  # files of training data
WEBHOOKS_AT_ONCE: Final = 2  # each waits for a receiver that may be slow

_long = threading.BoundedSemaphore(LONG_AT_ONCE)
_reading = threading.BoundedSemaphore(READ_AT_ONCE)
_webhooks = threading.BoundedSemaphore(WEBHOOKS_AT_ONCE)


def long_work() -> AbstractContextManager[bool]:
    """Whether there is room now. Where there is none the work stays due, and the clock sends it again."""
    return _taken(_long)


def reading_work() -> AbstractContextManager[bool]:
    """As ``long_work``, for files of training data: who has uploaded one wants to see what is in it at once."""
    return _taken(_reading)


def webhook_work() -> AbstractContextManager[bool]:
    """As ``long_work``, for what waits for other people's servers."""
    return _taken(_webhooks)


@contextmanager
def _taken(slots: threading.BoundedSemaphore) -> Iterator[bool]:
    is_taken = slots.acquire(blocking=False)
    try:
        yield is_taken
    finally:
        if is_taken:
            slots.release()
