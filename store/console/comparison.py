"""Listings side by side: their prices and numbers, the best of each named."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from store.catalog.models import Listing
from store.console.figures import grouped, share_of_all, short_bytes, short_count, short_number
from store.console.shelf import named
from store.console.templatetags.shop import dollars
from store.discovery.models import ListingIndex
from store.discovery.rankings import Ranking, rankings
from store.discovery.related import similar_to

MOST_COMPARED = 4
PROPOSED = 8
FULL_NAME = re.compile(r"[\w-]{1,40}/[\w-]{1,96}", re.ASCII)


class Fact(NamedTuple):
    """A line of the comparison: ``read`` gives its value or None, ``words`` how it is written, ``best`` which value wins."""

    label: str | Promise
    read: Callable[[Listing], Any]
    words: Callable[[Any], str]
    best: Callable[[Sequence[Any]], Any] | None = None


class Cell(NamedTuple):
    words: str
    is_best: bool


@dataclass(frozen=True, slots=True)
class Line:
    label: str | Promise
    cells: list[Cell]


@dataclass(frozen=True, slots=True)
class Group:
    title: str | Promise
    lines: list[Line]


def of_release(name: str) -> Callable[[Listing], Any]:
    return lambda listing: getattr(listing.current_release, name)


def of_standing(name: str) -> Callable[[Listing], Any]:
    """Nothing where nobody has called or reviewed it."""
    return lambda listing: getattr(getattr(listing, "standing", None), name, None) or None


def annotated(name: str) -> Callable[[Listing], Any]:
    return lambda listing: getattr(listing, name)


def milliseconds(value: float) -> str:
    return f"{short_number(value)} ms"


GROUPS = (
    (
        _("Price"),
        (
            Fact(_("Input / 1M"), annotated("input_nano"), dollars, min),
            Fact(_("Cached input / 1M"), annotated("cached_input_nano"), dollars, min),
            Fact(_("Output / 1M"), annotated("output_nano"), dollars, min),
            Fact(_("Each request"), annotated("request_nano"), dollars, min),
            Fact(_("Free each month"), annotated("free_nano"), dollars, max),
        ),
    ),
    (
        _("Measured by the store"),
        (
            Fact(_("Time to first token"), annotated("ttft_ms"), milliseconds, min),
            Fact(_("Tokens/s, one call"), annotated("tokens_per_s_1"), short_number, max),
            Fact(_("Tokens/s, 32 calls at once"), annotated("tokens_per_s_32"), short_number, max),
            Fact(_("Perplexity"), annotated("perplexity"), short_number),  # of different tokenizers: none is best
            Fact(_("Memory"), annotated("memory_bytes"), short_bytes, min),
        ),
    ),
    (
        _("In use"),
        (
            Fact(_("Uptime, 30 days"), of_standing("uptime"), share_of_all, max),
            Fact(_("Rating"), of_standing("rating"), short_number, max),
            Fact(_("Reviews"), of_standing("rating_count"), grouped),
        ),
    ),
    (
        _("The model"),
        (
            Fact(_("Parameters"), of_release("parameters"), short_count),
            Fact(_("Context"), of_release("context_length"), grouped, max),
            Fact(_("Architecture"), of_release("architecture"), str),
            Fact(_("Size"), of_release("size"), short_bytes, min),
            Fact(_("Licence"), lambda listing: listing.licence, str),
            Fact(_("Languages"), lambda listing: listing.languages, ", ".join),
            Fact(_("Weights"), lambda listing: listing.get_weights_display(), lambda words: words.partition(":")[0]),
        ),
    ),
)


def compared(user: Any, names: Sequence[str]) -> list[Listing]:
    """The first MOST_COMPARED of these names that the user may see and call, each once."""
    wanted = dict.fromkeys(name for name in map(bare_name, names) if FULL_NAME.fullmatch(name))
    return named(user, list(wanted)[: 2 * MOST_COMPARED])[:MOST_COMPARED]


def bare_name(text: str) -> str:
    """A full name as people paste it: with a slash before or behind."""
    return text.strip().strip("/")


def comparison(listings: Sequence[Listing]) -> list[Group]:
    """Every fact of every listing; a fact that none of them has is left out."""
    groups = (
        Group(title, [_line(fact, listings) for fact in facts if _is_known(fact, listings)]) for title, facts in GROUPS
    )
    return [group for group in groups if group.lines]


def proposals(listings: Sequence[Listing]) -> list[ListingIndex]:
    """What one might compare next: what is like the first, else what is trending."""
    taken = {listing.pk for listing in listings}
    near = similar_to(listings[0]) if listings else []
    rows = [*near, *rankings(Ranking.TRENDING, limit=PROPOSED), *rankings(Ranking.NEWEST, limit=PROPOSED)]
    return list({row.pk: row for row in rows if row.pk not in taken}.values())[:PROPOSED]


def _is_known(fact: Fact, listings: Sequence[Listing]) -> bool:
    return any(fact.read(listing) not in (None, "", []) for listing in listings)


def _line(fact: Fact, listings: Sequence[Listing]) -> Line:
    values = [fact.read(listing) for listing in listings]
    known = [value for value in values if value is not None]
    # The best is worth a word only where there is something worse.
    best = fact.best(known) if fact.best and len(set(known)) > 1 else None
    return Line(
        fact.label,
        [
            Cell("–" if value in (None, "", []) else fact.words(value), best is not None and value == best)
            for value in values
        ],
    )
