"""Work in hand: a row whose ``due_at`` its worker moves on for as long as it lives. When the worker dies, it is due again."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from django.db import DatabaseError, connection
from django.db.models import F, QuerySet
from django.db.models.functions import Now

LEASE_S = 30.0

logger = logging.getLogger(__name__)


def take(due: QuerySet[Any], *, lease_s: float = LEASE_S, **fields: Any) -> bool:
    """Takes the one row of ``due`` in hand, if its time has come: whoever is first, once. Counts the attempt."""
    until = Now() + timedelta(seconds=lease_s)
    return due.filter(due_at__lte=Now()).update(attempts=F("attempts") + 1, due_at=until, **fields) == 1


@contextmanager
def kept(own: QuerySet[Any], *, lease_s: float = LEASE_S) -> Iterator[threading.Event]:
    """Moves ``due_at`` on from a thread. ``own`` is the row as this attempt has it; the event is set once it is no longer so."""
    lost, done = threading.Event(), threading.Event()
    thread = threading.Thread(target=_renew, args=(own, lease_s, lost, done), name="lease", daemon=True)
    thread.start()
    try:
        yield lost
    finally:
        done.set()
        thread.join()


def _renew(own: QuerySet[Any], lease_s: float, lost: threading.Event, done: threading.Event) -> None:
    try:
        while not done.wait(lease_s / 6):
            try:
                if own.update(due_at=Now() + timedelta(seconds=lease_s)) != 1:
                    return lost.set()
            except DatabaseError as error:  # away for a moment: the next turn tries again
                logger.warning("a lease is not renewed: %s", error)
                connection.close()
    finally:
        connection.close()
