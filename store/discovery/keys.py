"""The lexemes of ``ListingIndex.keys``, and queries made of them.

One inverted index holds words, facets and ranks, so that PostgreSQL intersects them inside the index, by skipping, and visits rows that
match all of them only. Four kinds of lexemes, which cannot be mistaken for each other, for a word has letters, marks and digits only:

- ``bard``        a word, or an English stem, of anything that the listing says: heading and card
- ``^bard``       the same, of its heading: name, title, summary, tags, provider
- ``=task:chat``  a value of a facet; ``=name:acme/bard`` and ``=slug:bard`` are its names
- ``#12``         it is above the threshold of Tier 12

A second index (``ListingIndex.tiered``) has ``#12^bard`` and ``#12=task:chat`` for each tier that a listing is in: the millions that are
also found under ``=task:chat`` are not even looked at there.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from store.discovery.models import ListingIndex, Tier
from store.discovery.sorts import ORDERS
from store.discovery.words import indexed

CARD_CHARS = 50_000  # what follows is not indexed
CARD_WORDS = 4_000  # different ones
PRICE_OF_CALLS = 1_000  # calls to a million tokens of typical use: a thousand tokens each
INPUT_PARTS, OUTPUT_PARTS = 3, 1  # three tokens read for one written
BIGINT_MAX = 2**63 - 1
YEAR_S = 365.25 * 86_400
EPOCH = datetime(2020, 1, 1, tzinfo=UTC)
NAME_WEIGHT, TITLE_WEIGHT, TEXT_WEIGHT = "A", "B", "C"
MAX_POSITION = 16_383  # of a lexeme, in PostgreSQL


@dataclass(frozen=True, slots=True)
class Heading:
    """The words of a listing's heading, by weight."""

    name: list[str]
    title: list[str]
    text: list[str]

    @property
    def words(self) -> list[str]:
        return [*self.name, *self.title, *self.text]


def heading_of(row: ListingIndex) -> Heading:
    """A language or task is a word, too: "french" is not in a card of code ``fr``, but "translation" is in its task."""
    return Heading(
        name=indexed(row.slug),
        title=indexed(row.title),
        text=indexed(
            " ".join([row.summary, *row.tags, row.provider, row.provider_name, row.task, row.category, row.base_name])
        ),
    )


def card_words(card: str) -> list[str]:
    """The different words of a card, those that come first, if there are too many."""
    return list(dict.fromkeys(indexed(card[:CARD_CHARS])))[:CARD_WORDS]


def keys_of(
    row: ListingIndex, heading: Heading, card: Iterable[str], stems: dict[str, str], tiers: Iterable[Tier]
) -> list[str]:
    """Every lexeme under which the listing can be found. ``stems`` is ``words.stems`` of heading and card."""
    prominent = with_stems(heading.words, stems)
    return [
        *prominent,
        *with_stems(card, stems),
        *(f"^{word}" for word in prominent),
        *(f"={facet}" for facet in row.facets),
        f"=name:{row.name}",
        f"=slug:{row.slug}",
        *(f"#{tier.pk}" for tier in tiers if is_above(row, tier)),
    ]


def tiered_keys_of(row: ListingIndex, heading: Heading, stems: dict[str, str], tiers: Iterable[Tier]) -> list[str]:
    """Every lexeme under which the listing is found in a tier: facets, and words of its heading."""
    own = [*(f"={facet}" for facet in row.facets), *(f"^{word}" for word in with_stems(heading.words, stems))]
    return [f"#{tier.pk}{key}" for tier in tiers if is_above(row, tier) for key in own]


def with_stems(words: Iterable[str], stems: dict[str, str]) -> list[str]:
    """The words and their stems, each once."""
    return list(dict.fromkeys(one for word in words for one in (word, stems.get(word)) if one))


def heading_vector(heading: Heading, stems: dict[str, str]) -> str:
    """``heading`` as the text of a tsvector."""
    weighted = ((NAME_WEIGHT, heading.name), (TITLE_WEIGHT, heading.title), (TEXT_WEIGHT, heading.text))
    lexemes = [(one, weight) for weight, words in weighted for one in with_stems(words, stems)]
    return " ".join(
        f"{quoted(lexeme)}:{min(at, MAX_POSITION)}{weight}" for at, (lexeme, weight) in enumerate(lexemes, start=1)
    )


def quoted(lexeme: str) -> str:
    """As PostgreSQL reads it in the text of a tsvector or tsquery."""
    return "'" + lexeme.replace("\\", "\\\\").replace("'", "''") + "'"


def any_of(lexemes: Iterable[str]) -> str:
    """A tsquery: at least one of them, of which there is at least one."""
    return "(" + " | ".join(map(quoted, lexemes)) + ")"


def all_of(queries: Iterable[str]) -> str:
    """A tsquery: every one of these tsqueries; empty for none."""
    return " & ".join(query for query in queries if query)


def typical_price(input_nano: int, output_nano: int, request_nano: int) -> int:
    """Nano-dollars of a million tokens of typical use: three read for one written, in calls of a thousand."""
    tokens = (INPUT_PARTS * input_nano + OUTPUT_PARTS * output_nano) // (INPUT_PARTS + OUTPUT_PARTS)
    return min(tokens + PRICE_OF_CALLS * request_nano, BIGINT_MAX)


def quality(row: ListingIndex) -> float:
    """What decides between equal matches: who comes back, what they say, and a little of how new it is, so that no two are equal.

    A deprecated listing stands behind.
    """
    years = (row.published_at - EPOCH).total_seconds() / YEAR_S
    return math.log1p(max(row.trending, 0.0)) + row.rating / 2 + years / 10 - (3 if row.status == "deprecated" else 0)


def is_above(row: ListingIndex, tier: Tier) -> bool:
    """Whether the row belongs to the tier."""
    value = ORDERS[tier.sort].value(row)
    return value is not None and (value, row.quality) > (tier.threshold, tier.threshold_quality)
