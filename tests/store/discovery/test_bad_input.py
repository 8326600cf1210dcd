"""Whatever is sent, a search answers; what is sent is data, never a query."""

from __future__ import annotations

import random

import pytest

from store.discovery.query import CHOICES, MAX_OFFSET, TEXT_CHARS, Range, read_query
from store.discovery.search import search
from store.discovery.sorts import Sort
from tests.store.discovery.conftest import ListingMaker, found, page_of

pytestmark = pytest.mark.django_db

TEXTS = [
    "x" * 10_000,
    "word " * 2_000,
    "诗" * 10_000,
    "\0",
    "bard\0bard",
    "\ud800",
    "' | ''",
    "a & b | !c <-> (d:*",
    "'=task:text-generation'",
    "^bard",
    "#1",
    "=all:",
    "\\'; DROP TABLE x; --",
    "%s %(x)s {0} $1",
    "%_%",
    "🦙🔥",
    "the of and",
    "שלום עולם",
    "\u202ebard\u202c",
    "-- // ++",
    "a" * 61,
    "1e18",
    "ﷺ" * 100,
]


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: ascii(text[:20]))
def test_any_text_has_an_answer(shelve: ListingMaker, text: str) -> None:
    shelve("bard", title="The Bard")
    page = page_of(q=text)
    assert {row.slug for row in page.items} <= {"bard"}
    assert page.total == len(page.items)


def test_what_looks_like_the_insides_of_the_index_finds_nothing(shelve: ListingMaker) -> None:
    shelve("bard")
    for text in ("=all:", "#1", "'=slug:bard' | x", "!nothing"):
        assert found(text) == [], text
    assert found("^bard") == ["bard"]


def test_random_unicode_has_an_answer(shelve: ListingMaker) -> None:
    shelve("bard")
    some = random.Random(3)
    for _ in range(60):
        text = "".join(chr(some.choice([some.randrange(0x110000), some.randrange(128)])) for _char in range(40))
        assert page_of(q=text, tag=text, price_min=text, cursor=text, sort=text).total <= 1


def test_ranges_that_make_no_sense_are_mended() -> None:
    query = read_query(
        {
            "price_min": ["9"],
            "price_max": ["-3"],
            "context_min": ["nan"],
            "size_max": ["1e400"],
            "speed_min": ["1e18"],
            "perplexity_max": ["cheap"],
        }
    )
    assert query.ranges["price"] == Range(-3, 9)
    assert set(query.ranges) == {"price", "size", "speed"}
    page = search(query)
    assert (page.items, page.total) == ([], 0)


@pytest.mark.parametrize("cursor", ["-1", "1e9", "²", "999999999999999999999", "x", "", "12"])
def test_any_cursor_is_a_page(shelve: ListingMaker, cursor: str) -> None:
    shelve("bard")
    assert page_of(cursor=cursor).total == 1


def test_what_is_asked_for_is_bounded() -> None:
    query = read_query(
        {
            "q": ["x" * 10**6],
            "tag": [str(number) for number in range(1000)],
            "sort": ["drop table"],
            "cursor": ["99999"],
            "unknown": ["1"],
        },
        per_page=10**9,
    )
    assert len(query.text) == TEXT_CHARS
    assert len(query.chosen["tag"]) == CHOICES
    assert query.sort == Sort.RELEVANCE
    assert query.offset == MAX_OFFSET
    assert query.per_page == 100


def test_numbers_at_the_ends_of_their_columns_are_indexed(shelve: ListingMaker) -> None:
    shelve("huge", price=10**15, parameters=2**63 - 1, size=2**63 - 1, context_length=2**31 - 1)
    assert found(price_min="1e18") == []
    assert found(price_min="1e14", size_min="1e18") == ["huge"]


def test_html_and_strange_values_of_a_listing_are_data(shelve: ListingMaker) -> None:
    shelve(
        "bard", title="<script>' \\ </script>", tags=["it's", "a:b", "\\", "{}", '"'], languages=["EN"], card="'" * 500
    )
    page = page_of()
    tags = next(facet for facet in page.facets if facet.name == "tag")
    assert {choice.value for choice in tags.choices} == {"it's", "a:b", "\\", "{}", '"'}
    for tag in ("it's", "a:b", "\\", "{}", '"'):
        assert found(tag=tag) == ["bard"], tag
    assert found(language="en") == found(language="EN") == ["bard"]


def test_a_card_of_a_million_words_is_indexed_as_far_as_it_goes(shelve: ListingMaker) -> None:
    shelve("long", card=" ".join(f"w{number}" for number in range(100_000)) + " last")
    assert found("w1") == ["long"]
    assert found("last") == []
