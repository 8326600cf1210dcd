"""How frequent a key is, by PostgreSQL's own statistics of the index: good enough to choose where to begin looking."""

from __future__ import annotations

import time
from collections.abc import Iterable
from threading import Lock

from store.ledger.sql import execute

KEPT_S = 300  # statistics change with every ANALYZE, and slowly
UNKNOWN = 1.0  # without statistics, every key may be everywhere

_lock = Lock()
_kept: tuple[float, dict[str, float], float] | None = None  # when they were read, share by lexeme, share of any other


def share_of(lexemes: Iterable[str]) -> float:
    """The share of listings, 0 to 1, that have at least one of the lexemes: at most the sum of their shares."""
    shares, other = _statistics()
    return min(1.0, sum(shares.get(lexeme, other) for lexeme in lexemes))


def _statistics() -> tuple[dict[str, float], float]:
    global _kept
    with _lock:
        if _kept is None or time.monotonic() > _kept[0] + KEPT_S:
            _kept = (time.monotonic(), *_read())
        return _kept[1], _kept[2]


def _read() -> tuple[dict[str, float], float]:
    """The most common lexemes with their shares. After these come their least and greatest share: what is not listed has less."""
    rows = execute(
        """SELECT most_common_elems::text::text[], most_common_elem_freqs FROM pg_stats
           WHERE schemaname = current_schema() AND tablename = 'discovery_listingindex' AND attname = 'keys'"""
    )
    if not rows or rows[0][0] is None:
        return {}, UNKNOWN
    lexemes, shares = rows[0]
    return dict(zip(lexemes, shares[: len(lexemes)], strict=True)), min(shares[: len(lexemes)], default=UNKNOWN)
