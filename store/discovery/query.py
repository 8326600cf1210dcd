"""What somebody searches for: read from whatever a browser, a client or a person may send, always to something that can be asked."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from store.discovery.facets import FACETS, RANGES
from store.discovery.sorts import Sort, sort_of

TEXT_CHARS = 200  # what follows is not looked at
VALUE_CHARS = 150  # of one choice, as FacetCount.value
CHOICES = 10  # of one facet
PER_PAGE, MAX_PER_PAGE = 20, 100
MAX_OFFSET = 1_000  # nobody reads on; to see all, narrow the search
NUMBER_MAX = float(2**62)


@dataclass(frozen=True, slots=True)
class Range:
    """Both ends included; None is without end."""

    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class SearchQuery:
    """``chosen`` and ``ranges`` by the names of ``facets.FACETS`` and ``facets.RANGES``: values of one facet are alternatives.

    Ranges are in the units of the index: parameters, tokens, nano-dollars per million tokens of typical use, tokens per second. Make one of
    foreign input with :func:`read_query`; one that is made by hand is taken at its word.
    """

    text: str = ""
    chosen: Mapping[str, Sequence[str]] = field(default_factory=dict)
    ranges: Mapping[str, Range] = field(default_factory=dict)
    sort: Sort = Sort.RELEVANCE
    offset: int = 0
    per_page: int = PER_PAGE


def read_query(params: Mapping[str, Sequence[str]], *, per_page: int = PER_PAGE) -> SearchQuery:
    """The query of the parameters of an address: ``dict(request.GET.lists())``.

    ``q``, ``sort``, ``cursor``; each facet by its name, once or more often; ``<range>_min`` and ``<range>_max``. What makes no sense is
    left out, a range whose ends are swapped is turned round, and text is cut: there is no input that is an error.
    """
    chosen = {name: values for name in FACETS if (values := _values(params.get(name, ())))}
    ranges = {name: found for name in RANGES if (found := _range(params, name)) != Range()}
    return SearchQuery(
        text=_text(_last(params, "q")),
        chosen=chosen,
        ranges=ranges,
        sort=sort_of(_last(params, "sort")),
        offset=_offset(_last(params, "cursor")),
        per_page=max(1, min(per_page, MAX_PER_PAGE)),
    )


def _last(params: Mapping[str, Sequence[str]], name: str) -> str:
    values = params.get(name, ())
    return values[-1] if values else ""


def _text(value: str) -> str:
    """Printable, on one line. Lone surrogates and NUL could not even be sent to PostgreSQL."""
    start = value[: 10 * TEXT_CHARS].replace("\0", " ").encode(errors="ignore").decode()
    return " ".join(start.split())[:TEXT_CHARS]


def _values(values: Sequence[str]) -> tuple[str, ...]:
    texts = (_text(value)[:VALUE_CHARS] for value in values[: 4 * CHOICES])
    return tuple(dict.fromkeys(text for text in texts if text))[:CHOICES]


def _range(params: Mapping[str, Sequence[str]], name: str) -> Range:
    low, high = _number(_last(params, f"{name}_min")), _number(_last(params, f"{name}_max"))
    if low is not None and high is not None and low > high:
        low, high = high, low
    return Range(low, high)


def _number(value: str) -> float | None:
    try:
        number = float(value[:40])
    except ValueError:
        return None
    return None if math.isnan(number) else max(-NUMBER_MAX, min(number, NUMBER_MAX))


def _offset(cursor: str) -> int:
    is_number = cursor.isascii() and cursor.isdigit() and len(cursor) < 10
    return min(int(cursor), MAX_OFFSET) if is_number else 0
