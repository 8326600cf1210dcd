"""A query in the words of the index."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from store.discovery.facets import FACETS, RANGES
from store.discovery.query import Range, SearchQuery
from store.discovery.sorts import Sort
from store.discovery.terms import Term

MANY_BUCKETS = 5  # alternatives that an index of few listings is asked for; the other one for one only


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """Empty strings and tuples ask for nothing."""

    terms: tuple[Term, ...] = ()
    name: str = ""  # what was typed, where that can be a listing's name
    chosen: dict[str, tuple[str, ...]] = field(default_factory=dict)  # lexemes by facet, any of which is a match
    ranges: dict[str, Range] = field(default_factory=dict)
    sort: Sort = Sort.RELEVANCE

    def without(self, facet: str) -> Request:
        """The same request, ignoring what it says about one facet."""
        return replace(
            self,
            chosen={name: lexemes for name, lexemes in self.chosen.items() if name != facet},
            ranges={name: within for name, within in self.ranges.items() if name != facet},
        )

    @property
    def is_everything(self) -> bool:
        return not (self.terms or self.chosen or self.ranges)

    def groups(self, words: str = "", *, buckets: int = MANY_BUCKETS) -> list[tuple[str, ...]]:
        """Lexemes, of each group of which one must match: words with this prefix, what is chosen, and the buckets that a range
        touches, if these are at most so many; of a range that touches all, nothing.
        """
        terms = [tuple(f"{words}{lexeme}" for lexeme in term.lexemes) for term in self.terms]
        touched = []
        for name, within in self.ranges.items():
            all_buckets = FACETS[name].buckets
            of = tuple(f"={name}:{bucket.slug}" for bucket in all_buckets if bucket.overlaps(within.low, within.high))
            if len(of) < len(all_buckets) and len(of) <= buckets:
                touched.append(of)
        return [*terms, *self.chosen.values(), *touched]

    @property
    def is_name(self) -> bool:
        return bool(self.terms and self.name)

    @property
    def names(self) -> tuple[str, ...]:
        """What is called exactly what was typed always matches."""
        return (f"=name:{self.name}", f"=slug:{self.name}")


def request_of(query: SearchQuery, terms: Sequence[Term]) -> Request:
    name = query.text.lower()
    return Request(
        terms=tuple(terms),
        name=name if terms and " " not in name else "",
        chosen={
            facet: tuple(f"={facet}:{as_indexed(facet, value)}" for value in values)
            for facet, values in query.chosen.items()
            if values
        },
        ranges={name: within for name, within in query.ranges.items() if name in RANGES and within != Range()},
        sort=query.sort,
    )


def as_indexed(facet: str, value: str) -> str:
    """A chosen value as ``facets_of`` writes it."""
    return {"tag": str.casefold, "language": str.lower}.get(facet, str)(value)
