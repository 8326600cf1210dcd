"""Facets add up, each ignoring its own choice; ranges, sorts, pages."""

from __future__ import annotations

import random
from typing import Any

import pytest

from store.discovery.actions import recount_facets, refresh, refresh_stale
from store.discovery.facets import FACETS, RANGES
from store.discovery.models import FacetCount, ListingIndex, Tier
from store.discovery.search import Facet, SearchPage
from store.discovery.sorts import Sort
from store.discovery.tiers import retier
from tests.store.discovery.conftest import ListingMaker, found, page_of

pytestmark = pytest.mark.django_db
DOLLAR = 10**9


def facet_of(page: SearchPage, name: str) -> Facet:
    return next(facet for facet in page.facets if facet.name == name)


def counts(page: SearchPage, name: str) -> dict[str, int]:
    return {choice.value: choice.count for choice in facet_of(page, name).choices}


@pytest.fixture
def shelf(shelve: ListingMaker) -> list[ListingIndex]:
    """Thirty listings of all kinds, with the same word in each heading."""
    some = random.Random(7)
    for number in range(30):
        shelve(
            f"model-{number}",
            title=f"Model {some.choice(['alpha', 'beta'])}",
            licence=some.choice(["mit", "apache-2.0"]),
            task=some.choice(["text-generation", "feature-extraction"]),
            languages=some.sample(["en", "fr", "zh"], some.randint(0, 3)),
            tags=some.sample(["Law", "poetry", "code"], some.randint(0, 2)),
            category=some.choice(["code", "law", ""]),
            price=some.choice([0, 10**8, 3 * DOLLAR]),
            parameters=some.choice([10**7, 2 * 10**9]),
            context_length=some.choice([512, 4096, 200_000]),
            **some.choice([{}, {"perplexity": some.uniform(5, 50), "tokens_per_s_1": some.uniform(1, 300)}]),
        )
    refresh_stale()
    return list(ListingIndex.objects.all())


CHOICES: list[dict[str, Any]] = [
    {},
    {"q": "model"},
    {"licence": "mit"},
    {"licence": ["mit", "apache-2.0"], "language": "fr"},
    {"q": "alpha", "tag": "law", "size": "under-100m"},
    {"price_min": 1, "price_max": DOLLAR},
    {"price": "free", "context_min": 1000},
    {"q": "beta", "speed_min": 20, "category": ["code", "law"]},
]


def matches(row: ListingIndex, params: dict[str, Any], *, ignoring: str = "") -> bool:
    """The same question asked of one row, slowly."""
    for name, value in params.items():
        facet, _underscore, end = name.partition("_")
        if name == "q":
            if value not in f"{row.title} {row.slug}".lower().replace("-", " ").split():
                return False
        elif facet == ignoring:
            continue
        elif end:
            number = getattr(row, RANGES[facet])
            if number is None or (number < value if end == "min" else number > value):
                return False
        elif not {f"{facet}:{one}" for one in ([value] if isinstance(value, str) else value)} & set(row.facets):
            return False
    return True


@pytest.mark.parametrize("params", CHOICES, ids=str)
def test_every_count_is_what_choosing_it_finds(shelf: list[ListingIndex], params: dict[str, Any]) -> None:
    page = page_of(**params)
    wanted = [row for row in shelf if matches(row, params)]
    assert (page.total, page.total_is_exact) == (len(wanted), True)
    assert len(page.items) == min(len(wanted), 20)
    for facet in page.facets:
        rows = [row for row in shelf if matches(row, params, ignoring=facet.name)]
        for choice in facet.choices:
            assert choice.count == sum(f"{facet.name}:{choice.value}" in row.facets for row in rows), (facet, choice)
        assert facet.is_exact
    shown = {f"{facet.name}:{choice.value}" for facet in page.facets for choice in facet.choices}
    assert {one for row in wanted for one in row.facets if not one.startswith("all:")} <= shown


def test_what_is_chosen_is_marked_and_stays_to_be_unchosen(shelf: list[ListingIndex]) -> None:
    page = page_of(licence=["mit", "gone"], tag="LAW")
    assert {choice.value for choice in facet_of(page, "licence").choices if choice.chosen} == {"mit", "gone"}
    assert [choice.value for choice in facet_of(page, "tag").choices if choice.chosen] == ["law"]
    assert counts(page, "licence")["gone"] == 0


def test_the_kept_counts_are_those_of_the_rows(shelf: list[ListingIndex], shelve: ListingMaker) -> None:
    kept = set(FacetCount.objects.values_list("facet", "value", "listings"))
    recount_facets()
    assert set(FacetCount.objects.values_list("facet", "value", "listings")) == kept
    row = shelf[0]
    row.listing.licence = "cc-by-4.0"
    row.listing.save(update_fields=["licence"])
    shelf[1].listing.is_private = True
    shelf[1].listing.save(update_fields=["is_private"])
    page = page_of()
    assert page.total == 29
    assert counts(page, "licence")["cc-by-4.0"] == 1
    assert sum(counts(page, "licence").values()) == 29
    assert {name for name in FACETS if name in {facet.name for facet in page.facets}} >= {"task", "licence", "price"}


@pytest.fixture
def tiered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Queries begin in tiers, though the store is small, and three matches are enough."""
    monkeypatch.setattr("store.discovery.passes.ENOUGH", 3)
    monkeypatch.setattr("store.discovery.passes.FEW_LISTINGS", 0)


def sort_key(sort: str, row: ListingIndex) -> tuple[float, ...]:
    values = {"price": row.price_nano, "speed": row.tokens_per_s_1, "newest": row.published_at.timestamp()}
    value = values.get(sort, row.quality)
    if value is None:
        return (1, 0, -row.quality)
    return (0, value if sort == "price" else -value, -row.quality)


@pytest.mark.parametrize("sort", ["price", "speed", "newest"])
@pytest.mark.parametrize("with_tiers", [False, True])
def test_a_sort_is_exact_over_all_pages_with_and_without_tiers(
    shelf: list[ListingIndex], request: pytest.FixtureRequest, sort: str, with_tiers: bool
) -> None:
    if with_tiers:
        request.getfixturevalue("tiered")
        assert retier((4, 10)) > 0
    cursor, slugs = "0", []
    while cursor:
        page = page_of(sort=sort, cursor=cursor)
        slugs += [row.slug for row in page.items]
        cursor = page.next_cursor or ""
    assert slugs == [row.slug for row in sorted(shelf, key=lambda row: sort_key(sort, row))]


def test_with_tiers_headings_still_come_before_cards_and_lower_bounds_say_so(
    shelf: list[ListingIndex], shelve: ListingMaker, tiered: None
) -> None:
    shelve("late", card="model model model")
    shelve("chosen", title="Special model")
    page_of()
    assert retier((4, 10)) == 2 * len(Sort.values)
    assert retier((4, 10)) == 0
    assert found("chosen model") == ["chosen"]
    page = page_of(q="model", licence=["mit", "apache-2.0"])
    assert len(page.items) == 20
    assert "late" not in {row.slug for row in page.items}
    assert page.total <= 32
    shelve("newer", title="Newer model")
    assert found("newer") == ["newer"]
    assert found(sort="newest")[0] == "newer"


def all_of(**params: Any) -> list[str]:
    """The slugs of all pages."""
    cursor, slugs = "0", []
    while cursor:
        page = page_of(**params, cursor=cursor)
        slugs += [row.slug for row in page.items]
        cursor = page.next_cursor or ""
    return slugs


@pytest.mark.parametrize("params", [one for one in CHOICES if "q" not in one], ids=str)
def test_what_is_chosen_is_found_in_tiers_in_the_same_order(
    shelf: list[ListingIndex], tiered: None, params: dict[str, Any]
) -> None:
    before = all_of(**params)
    assert retier((4, 10)) > 0
    assert all_of(**params) == before
    assert len(before) == sum(matches(row, params) for row in shelf)


def test_a_tier_has_the_keys_of_its_listings_and_takes_them_along_when_it_goes(shelf: list[ListingIndex]) -> None:
    retier((4, 10))
    best = ListingIndex.objects.order_by("-quality")[0]
    tier = Tier.objects.get(sort=Sort.RELEVANCE, level=0)
    drawn = (best.keys, best.tiered)
    assert best.tiered
    assert f"'#{tier.pk}=licence:{best.licence}'" in best.tiered
    assert f"'#{tier.pk}^model'" in best.tiered
    refresh([best.pk])
    best.refresh_from_db()
    assert (best.keys, best.tiered) == drawn
    retier(())
    assert not Tier.objects.exists()
    assert not ListingIndex.objects.filter(tiered__isnull=False).exists()
    assert not any("'#" in row.keys for row in ListingIndex.objects.all())


def test_white_space_in_a_tag_is_one_blank(shelve: ListingMaker) -> None:
    shelve("bard", tags=["old  \x1f verse"])
    assert counts(page_of(q="bard"), "tag") == {"old verse": 1}
    assert found(tag="old verse") == ["bard"]


def test_a_range_without_the_number_is_not_within(shelf: list[ListingIndex]) -> None:
    assert page_of(speed_min=0).total == sum(row.tokens_per_s_1 is not None for row in shelf)
