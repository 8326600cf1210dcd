"""One search as SQL: passes over better and better filled tiers, until there are enough matches (see ``store.discovery.search``)."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.db import connection, transaction

from store.discovery.facets import RANGES
from store.discovery.frequencies import share_of
from store.discovery.keys import any_of
from store.discovery.query import Range
from store.discovery.request import Request
from store.discovery.sorts import ORDERS, Sort
from store.discovery.tiers import SIZES
from store.ledger.sql import execute

ENOUGH = 200  # matches of a pass that make the next one needless
ENOUGH_AT_LAST = 60  # where the next one would be of the whole store, or of cards
FEW_LISTINGS = 2_000  # matches of a query that needs no tiers,
EASY_LISTINGS = (
    20_000  # if the rarest of what it asks for is in no more listings than these: each is looked up in the index
)
NARROW = 5_000  # listings within a range; if there are fewer, they are all visited
WHOLE = {"size", "context", "price"}  # ranges of integers
SAMPLE = 500  # matches over which facets are counted
VISITED = 10_000  # rows that a pass reads at most
BETWEEN = "\x1f"  # values of facets on their way here: white space, which no value has (see facets_of)
# What outweighs what, where there are words: the full name, the name, then how much of the heading the words are, then quality.
NAME_WEIGHT, SLUG_WEIGHT, QUALITY_WEIGHT = 4, 2, 0.02


@dataclass(frozen=True, slots=True)
class Ground:
    """What holds for all requests of one search: how many listings there are, (id, level) of the tiers by sort, smallest first,
    and which ranges are narrow.
    """

    listings: int
    tiers: Mapping[str, Sequence[tuple[int, int]]]
    narrow: Collection[str]


@dataclass(frozen=True, slots=True)
class Found:
    """``is_exact`` False: there are more than ``total``. ``counts`` of values by facet; they are of all matches if ``counts_all``."""

    listing_ids: list[int]
    total: int
    is_exact: bool
    counts: Mapping[str, Mapping[str, int]]
    counts_all: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Pass:
    """Alternatives, each of tsqueries that must all match: of a single one with all of it, the index would not know where to skip.

    ``enough`` are as many matches as make it the last pass; 0: whatever matches the request matches this.
    """

    column: str = "keys"
    alternatives: Sequence[Sequence[str]]
    enough: int = 0

    @property
    def condition(self) -> str:
        one_of = (" AND ".join(f"{self.column} @@ %s::tsquery" for _ in one) or "TRUE" for one in self.alternatives)
        return "(" + " OR ".join(one_of) + ")"

    @property
    def params(self) -> list[object]:
        return [tsquery for one in self.alternatives for tsquery in one]


SETTING = """SELECT set_config('enable_seqscan', %s, true), set_config('jit', %s, true), set_config('plan_cache_mode', %s, true)"""


@contextmanager
def planned() -> Iterator[None]:
    """A transaction in which PostgreSQL never reads the whole table, compiles nothing, and plans a pass once.

    The planner cannot know how well the keys of one query go together: looking at them only takes its time.
    """
    was_open = connection.in_atomic_block
    with transaction.atomic():
        execute(SETTING, "off", "off", "force_generic_plan")
        yield
        if was_open:
            execute(SETTING, "on", "on", "auto")


def survey(ranges: Mapping[str, Range]) -> Ground:
    """Looks at the tiers, and whether so few listings are within a range that all of them can be visited."""
    listings = execute("SELECT listings FROM discovery_facetcount WHERE facet = 'all' AND value = ''")
    tiers: dict[str, list[tuple[int, int]]] = {}
    for sort, tier, level in execute("SELECT sort, id, level FROM discovery_tier WHERE is_ready ORDER BY level"):
        tiers.setdefault(sort, []).append((tier, level))
    narrow = [name for name, within in ranges.items() if _is_narrow(name, within)]
    return Ground(listings[0][0] if listings else 0, tiers, narrow)


def run(request: Request, ground: Ground, *, limit: int, offset: int = 0, counted: Collection[str] = ()) -> Found:
    """Matches from ``offset`` on in the order of the request, at most ``limit``; at least ENOUGH are looked at.

    ``counted`` are the facets whose values are counted. Call it within :func:`planned`.
    """
    for step in _passes(request, ground, shown=offset + limit + 1):
        found = _run_pass(request, step, ground, limit=limit, offset=offset, counted=counted)
        if found.total >= step.enough:
            break
    return found


def _passes(request: Request, ground: Ground, *, shown: int) -> Iterator[Pass]:
    """From the narrowest to the widest; the last one only, where the others could spare nothing."""
    is_narrow = _has_narrow(request, ground)
    tiers = ground.tiers.get(request.sort, ())
    if tiers and not is_narrow and not _is_easy(request, ground):
        if request.terms and request.sort == Sort.RELEVANCE:
            headings = _in_store(request, "^")
            for tier, enough in _wide_enough(tiers, request, "^", shown):
                yield _in_tier(request, tier, enough)
            yield Pass(alternatives=headings, enough=max(shown, min(ENOUGH, ENOUGH_AT_LAST)))
            for tier, enough in _wide_enough(tiers, request, "", shown):
                yield Pass(alternatives=[*headings, *_in_store(request, "", tier)], enough=enough)
        else:
            for tier, enough in _wide_enough(tiers, request, "", shown):
                in_store = Pass(alternatives=_in_store(request, "", tier), enough=enough)
                yield in_store if request.terms else _in_tier(request, tier, enough)
    yield Pass(alternatives=_in_store(request, "", buckets=0 if is_narrow else 1))


def _in_store(request: Request, words: str, *keys: str, buckets: int = 1) -> list[list[str]]:
    """Those that have the words, and those that are called what was typed; all with these keys."""
    asked = [*request.groups(words, buckets=buckets), *((key,) for key in keys)]
    if not request.is_name:
        return [_rarest_first(asked)]
    return [_rarest_first(asked), _rarest_first([request.names, *asked[len(request.terms) :]])]


def _in_tier(request: Request, tier: str, enough: int) -> Pass:
    """The best of those whose heading has the words."""
    asked = _rarest_first(request.groups("^") or [("=all:",)], prefix=tier)
    return Pass(column="tiered", alternatives=[asked], enough=enough)


def _rarest_first(groups: Iterable[tuple[str, ...]], *, prefix: str = "") -> list[str]:
    """The index goes from match to match of the first, and looks for each in the others."""
    return [any_of(f"{prefix}{lexeme}" for lexeme in group) for group in sorted(groups, key=share_of)]


def _wide_enough(
    tiers: Sequence[tuple[int, int]], request: Request, words: str, shown: int
) -> Iterator[tuple[str, int]]:
    """Keys of the tiers in which enough matches are to be expected, with how many that are."""
    share = math.prod(map(share_of, request.groups(words)))
    for tier, level in tiers:
        enough = max(shown, ENOUGH if (tier, level) != tiers[-1] else min(ENOUGH, ENOUGH_AT_LAST))
        if SIZES[min(level, len(SIZES) - 1)] * share >= enough:
            yield f"#{tier}", enough


def _is_easy(request: Request, ground: Ground) -> bool:
    """Whether the index finds all matches at once, and few enough to visit them all."""
    shares = [share_of(group) for group in request.groups()]
    is_rare = min(shares, default=1.0) * ground.listings <= EASY_LISTINGS
    return is_rare and math.prod(shares) * ground.listings <= FEW_LISTINGS


def _has_narrow(request: Request, ground: Ground) -> bool:
    return not request.ranges.keys().isdisjoint(ground.narrow)


def _is_narrow(name: str, within: Range) -> bool:
    condition, params = _within({name: within}, is_narrow=True)
    rows = execute(
        f"SELECT count(*) FROM (SELECT FROM discovery_listingindex WHERE TRUE {condition} LIMIT {NARROW}) AS few",
        *params,
    )
    return bool(rows[0][0] < NARROW)


def _run_pass(
    request: Request, step: Pass, ground: Ground, *, limit: int, offset: int, counted: Collection[str]
) -> Found:
    """Where no listing is wanted, it looks at no more than are counted."""
    rank, rank_params = _rank(request) if limit else ("0", [])
    is_narrow = _has_narrow(request, ground)
    within, within_params = _within(request.ranges, is_narrow=is_narrow)
    visited = VISITED if limit else SAMPLE + 1
    rows = (_planned_for_these if is_narrow else execute)(
        f"""WITH found AS MATERIALIZED (
                SELECT listing_id, quality, facets, {rank} AS rank FROM discovery_listingindex
                WHERE {step.condition} {within} LIMIT {visited})
            SELECT (SELECT count(*) FROM found),
                   ARRAY(SELECT listing_id FROM found ORDER BY rank DESC NULLS LAST, quality DESC, listing_id LIMIT %s OFFSET %s),
                   {SAMPLED if counted else "NULL"}""",
        *rank_params, *step.params, *within_params, limit, offset,
    )  # fmt: skip
    total, listing_ids, sampled = rows[0]
    return Found(
        listing_ids=listing_ids,
        total=total,
        is_exact=not step.enough and total < visited,
        counts=_counts((sampled or "").split(BETWEEN), counted),
        counts_all=not step.enough and total <= SAMPLE,
    )


def _planned_for_these(query: str, *params: Any) -> list[tuple[Any, ...]]:
    """Where a range is narrow, its index is the way, which PostgreSQL sees only from the numbers themselves."""
    with connection.cursor() as cursor:
        cursor.execute(query, params)
        return list(cursor.fetchall())


# Counted here: PostgreSQL takes three times as long to count as to send.
SAMPLED = f"""(SELECT string_agg(array_to_string(facets, '{BETWEEN}'), '{BETWEEN}')
               FROM (SELECT facets FROM found LIMIT {SAMPLE}) AS sample)"""


def _counts(facets: Iterable[str], counted: Collection[str]) -> dict[str, dict[str, int]]:
    counts: dict[str, dict[str, int]] = {name: {} for name in counted}
    for one, listings in Counter(facets).items():
        name, _colon, value = one.partition(":")
        if name in counts:
            counts[name][value] = listings
    return counts


def _rank(request: Request) -> tuple[str, list[object]]:
    if request.sort != Sort.RELEVANCE or not request.terms:
        return ORDERS[request.sort].expression, []
    words = any_of(dict.fromkeys(lexeme for term in request.terms for lexeme in term.lexemes))
    named = f"(name = %s)::int * {NAME_WEIGHT} + (slug = %s)::int * {SLUG_WEIGHT}"
    return f"{named} + ts_rank(heading, %s::tsquery) + quality * {QUALITY_WEIGHT}", [request.name, request.name, words]


def _within(ranges: Mapping[str, Range], *, is_narrow: bool) -> tuple[str, list[Any]]:
    """SQL for ranges, and its parameters. What a range is of must be known: a listing without the number is not within.

    Where it is not narrow, the index of its column is of no use, and an addition of nothing keeps PostgreSQL from it.
    """
    conditions: list[str] = []
    params: list[Any] = []
    for name, within in ranges.items():
        for sign, end, whole in ((">=", within.low, math.ceil), ("<=", within.high, math.floor)):
            if end is not None:
                conditions.append(f"AND {RANGES[name]} {'' if is_narrow else '+ 0 '}{sign} %s")
                params.append(whole(end) if name in WHOLE else end)
    return " ".join(conditions), params
