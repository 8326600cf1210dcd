"""A search as its page shows it: what was found, chips of what is chosen, facets to choose from, and the addresses of all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from django.conf.locale import LANG_INFO
from django.http import QueryDict
from django.urls import reverse
from django.utils.translation import gettext as _

from store.console.figures import short_number
from store.discovery.facets import FACETS
from store.discovery.models import ListingIndex
from store.discovery.query import Range, SearchQuery, read_query
from store.discovery.search import Choice, Facet, search
from store.discovery.sorts import Sort

CHOICES_OPEN = 6  # of a facet; the rest is folded away
NOT_IN_COLUMN = ("provider", "tag")  # facets that are chosen by links, and shown as chips only

Params = dict[str, list[str]]


class Chip(NamedTuple):
    """Something that is chosen, and the address without it."""

    label: str
    address: str


class Option(NamedTuple):
    value: str
    label: str
    number: str
    is_chosen: bool
    is_empty: bool


class Column(NamedTuple):
    """A facet: its first choices and those that are chosen, and the rest."""

    name: str
    label: str
    first: list[Option]
    rest: list[Option]


@dataclass(frozen=True, kw_only=True, slots=True)
class Shown:
    """``kept`` are what is chosen and has no control of its own in the form; addresses are empty where there is no such page."""

    query: SearchQuery
    rows: Sequence[ListingIndex]
    number: int
    total: str
    corrected: str
    chips: list[Chip]
    facets: list[Column]
    kept: list[tuple[str, str]]
    previous: str
    next: str

    @property
    def address(self) -> str:
        """Its own, without what a form sends and nobody has chosen."""
        return address_of(params_of(self.query), **({"cursor": str(self.query.offset)} if self.query.offset else {}))

    @property
    def narrowed(self) -> int:
        """How much is chosen besides words."""
        return sum(map(len, self.query.chosen.values())) + len(self.query.ranges)

    @property
    def sorts(self) -> Any:
        return Sort.choices


def shown_search(params: Mapping[str, Sequence[str]]) -> Shown:
    """Asks what the parameters of an address ask. There is no input that is an error."""
    query = read_query(params)
    found = search(query)
    chosen = params_of(query)
    before = max(query.offset - query.per_page, 0)
    return Shown(
        query=query,
        rows=found.items,
        number=found.total,
        total=f"{found.total:,}{'' if found.total_is_exact else '+'}",
        corrected=found.corrected,
        chips=_chips(query, chosen),
        facets=[_column(facet) for facet in found.facets if facet.choices and facet.name not in NOT_IN_COLUMN],
        kept=_kept(query),
        previous=address_of(chosen, cursor=str(before)) if query.offset else "",
        next=address_of(chosen, cursor=found.next_cursor) if found.next_cursor else "",
    )


def params_of(query: SearchQuery) -> Params:
    """The parameters that ask the same again, from the first page on."""
    said: Params = {"q": [query.text]} if query.text else {}
    said |= {name: list(values) for name, values in query.chosen.items()}
    for name, value in query.ranges.items():
        said |= {f"{name}_{end}": [f"{number:g}"] for end, number in _ends(value)}
    return said | ({"sort": [query.sort.value]} if query.sort != Sort.RELEVANCE else {})


def address_of(params: Params, **more: str) -> str:
    """The address of the catalog with these parameters."""
    query = QueryDict(mutable=True)
    for name, values in params.items():
        query.setlist(name, values)
    for name, value in more.items():
        query[name] = value
    said = query.urlencode(safe="/")
    return reverse("console:models") + (f"?{said}" if said else "")


def label_of(name: str, value: str) -> str:
    """How a value of a facet is shown: a language by its name, who may have the files in one word."""
    if name == "language":
        return str(LANG_INFO.get(value, {}).get("name", value))
    if name == "task":
        return value.replace("-", " ").capitalize()
    label = str(FACETS[name].label_of(value))
    return label.partition(":")[0] if name == "weights" else label


def _chips(query: SearchQuery, chosen: Params) -> list[Chip]:
    words = [Chip(f"“{query.text}”", address_of({**chosen, "q": []}))] if query.text else []
    values = [
        Chip(
            f"{FACETS[name].label}: {label_of(name, value)}",
            address_of({**chosen, name: [each for each in values if each != value]}),
        )
        for name, values in query.chosen.items()
        for value in values
    ]
    ranges = [
        Chip(
            f"{FACETS[name].label}: {_words_of(value)}",
            address_of({key: said for key, said in chosen.items() if key not in (f"{name}_min", f"{name}_max")}),
        )
        for name, value in query.ranges.items()
    ]
    return [*words, *values, *ranges]


def _words_of(value: Range) -> str:
    low, high = (None if end is None else short_number(end) for end in (value.low, value.high))
    if high is None:
        return _("%(low)s and more") % {"low": low}
    return (
        _("up to %(high)s") % {"high": high} if low is None else _("%(low)s to %(high)s") % {"low": low, "high": high}
    )


def _ends(value: Range) -> list[tuple[str, float]]:
    return [(name, end) for name, end in (("min", value.low), ("max", value.high)) if end is not None]


def _column(facet: Facet) -> Column:
    options = [_option(facet, choice) for choice in facet.choices]
    first = [option for index, option in enumerate(options) if index < CHOICES_OPEN or option.is_chosen]
    return Column(facet.name, str(facet.label), first, [option for option in options if option not in first])


def _option(facet: Facet, choice: Choice) -> Option:
    count = f"{choice.count:,}" + ("" if facet.is_exact or not choice.count else "+")
    return Option(choice.value, label_of(facet.name, choice.value), count, choice.chosen, not choice.count)


def _kept(query: SearchQuery) -> list[tuple[str, str]]:
    links = [(name, value) for name in NOT_IN_COLUMN for value in query.chosen.get(name, ())]
    ranges = [(f"{name}_{end}", f"{number:g}") for name, value in query.ranges.items() for end, number in _ends(value)]
    return [*links, *ranges]
