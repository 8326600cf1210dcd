"""Slices of usage say what the buckets say that they are made of, whatever is asked."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pytest

from store.accounts.models import User
from store.keys.models import ApiKey
from store.reputation.histogram import added
from store.reputation.periods import DAY, HOUR
from store.usage.counting_sql import COUNTS
from store.usage.figures import COLUMNS, By, Group, Scope, UsageRow, by_group, by_time, cost_by_time, totals
from store.usage.models import UsageBucket
from store.usage.rollup import rebuild
from tests.store.usage.conftest import NOON

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("many_runs")]
Sums = dict[tuple[Any, Any], tuple[list[int], list[int]]]
FILTERS = ("", "listing", "api_key", "member", "kind")
GROUPS: tuple[Group | None, ...] = (None, "listing", "key", "member", "kind")
BOTH: tuple[By, ...] = ("hour", "day")
PERIODS = ((NOON.replace(hour=0) - 2 * DAY, NOON.replace(hour=0)), (NOON - 50 * HOUR, NOON - 3 * HOUR))


def scopes(user: User, chosen: str) -> Iterator[Scope]:
    """Two periods of everything, or of one thing that was used."""
    rebuild(NOON - 80 * HOUR, NOON)
    organization = user.personal_organization
    one = UsageBucket.objects.filter(organization=organization).exclude(api_key=None).order_by("pk")[0]
    for since, until in PERIODS:
        yield Scope(
            organization=organization, since=since, until=until, **({chosen: getattr(one, chosen)} if chosen else {})
        )


def slow(scope: Scope, by: By | None, group: Group | None) -> Sums:
    """Counts and histograms by time and group, one hour's bucket after another."""
    exact = {"listing": scope.listing, "api_key": scope.api_key, "member": scope.member, "kind": scope.kind}
    hours = UsageBucket.objects.filter(
        grain="hour", organization=scope.organization, starts_at__gte=scope.since, starts_at__lt=scope.until,
        **{name: value for name, value in exact.items() if value},
    )  # fmt: skip
    parts = defaultdict(list)
    for bucket in hours:
        time = {"hour": bucket.starts_at, "day": bucket.starts_at.replace(hour=0), None: None}[by]
        parts[time, getattr(bucket, COLUMNS[group]) if group else None].append(bucket)
    return {
        place: (
            [sum(getattr(each, name) for each in buckets) for name in COUNTS],
            added(each.first_token_ms for each in buckets),
        )
        for place, buckets in parts.items()
    }


def sums(rows: list[UsageRow]) -> Sums:
    return {
        (row.time, row.group): ([getattr(row.figures, name) for name in COUNTS], list(row.figures.waits))
        for row in rows
    }


def counts(found: Sums) -> dict[Any, list[int]]:
    return {place: numbers for place, (numbers, _waits) in found.items()}


@pytest.mark.parametrize("chosen", FILTERS)
def test_every_question_has_the_answer_of_the_buckets(consumer: User, chosen: str) -> None:
    for scope in scopes(consumer, chosen):
        for group in GROUPS:
            check_times(scope, group)
            if group:
                assert sums(by_group(scope, group)) == slow(scope, None, group)
                check_costs(scope, group)
        [(numbers, _waits)] = slow(scope, None, None).values()
        assert [getattr(totals(scope), name) for name in COUNTS] == numbers


def check_times(scope: Scope, group: Group | None) -> None:
    for by in BOTH:
        found, expected = sums(by_time(scope, by, group)), slow(scope, by, group)
        assert expected
        assert counts(found) == counts(expected)
        assert group or found == expected


def check_costs(scope: Scope, group: Group) -> None:
    """Of one of the group."""
    expected = counts(slow(scope, "hour", group))
    shown = [name for _time, name in expected][:1]
    place = COUNTS.index("charge_nano")
    assert cost_by_time(scope, "hour", group, shown) == {
        (int(time.timestamp()), name): numbers[place] for (time, name), numbers in expected.items() if name in shown
    }


def test_two_filters_are_answered_as_well(consumer: User) -> None:
    scope = next(scopes(consumer, "listing"))
    key = ApiKey.objects.get(organization=consumer.personal_organization, name="k")
    both = Scope(
        organization=scope.organization, since=scope.since, until=scope.until, listing=scope.listing, api_key=key
    )
    assert sums(by_time(both, "hour")) == slow(both, "hour", None)
