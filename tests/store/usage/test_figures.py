"""Figures over any whole hours are the sums of the runs in them, however they are put together from days and hours."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest

from store.accounts.models import User
from store.catalog.models import Listing
from store.errors import InvalidRequest
from store.reputation.periods import DAY, HOUR
from store.runs.models import Run, RunStatus
from store.usage.figures import Scope, by_group, by_time, together, totals
from store.usage.rollup import rebuild
from tests.conftest import make_listing
from tests.store.reputation.conftest import RunMaker, past_run

__all__ = ["past_run"]
pytestmark = pytest.mark.django_db
NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)


@pytest.fixture
def scattered(past_run: RunMaker, listing: Listing, provider: User) -> list[Listing]:
    """Two hundred runs of five days on two models."""
    models, chance = [listing, make_listing(provider.personal_organization, "other")], random.Random(3)
    for number in range(200):
        moment = NOON - timedelta(minutes=chance.randrange(5 * 24 * 60))
        past_run(at=moment, of=models[number % 2], charge_nano=number, first_token_ms=100 + number)
    rebuild(NOON - 6 * DAY, NOON)
    return models


def scope(user: User, since: datetime, until: datetime, **more: object) -> Scope:
    return Scope(organization=user.personal_organization, since=since, until=until, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("since", "until"),
    [
        (NOON - 5 * DAY, NOON),
        (NOON - 4 * HOUR, NOON),
        (NOON - 13 * HOUR, NOON - 11 * HOUR),
        (NOON - 3 * DAY - 12 * HOUR, NOON - 12 * HOUR),
        (NOON - 3 * DAY - 7 * HOUR, NOON - 2 * HOUR),
        (NOON - 30 * HOUR, NOON - 12 * HOUR),
    ],
)
def test_any_period_is_made_of_whole_days_and_hours(
    scattered: list[Listing], consumer: User, since: datetime, until: datetime
) -> None:
    runs = Run.objects.filter(opened_at__gte=since, opened_at__lt=until)
    found = totals(scope(consumer, since, until))
    assert (found.calls, found.charge_nano) == (runs.count(), sum(run.charge_nano for run in runs))
    assert (found.input_tokens, found.output_tokens) == (100 * runs.count(), 11 * runs.count())
    assert together(row.figures for row in by_time(scope(consumer, since, until), "hour")).calls == runs.count()


def test_filters_and_groups_add_up(scattered: list[Listing], consumer: User, stranger: User) -> None:
    everything = scope(consumer, NOON - 6 * DAY, NOON)
    one = scope(consumer, NOON - 6 * DAY, NOON, listing=scattered[0])
    groups = by_group(everything, "listing")
    assert [row.group for row in groups] == [scattered[1].pk, scattered[0].pk]  # what cost most first
    assert sum(row.figures.charge_nano for row in groups) == totals(everything).charge_nano == sum(range(200))
    assert totals(one).calls == groups[1].figures.calls == 100
    cells = by_time(everything, "day", "listing")
    assert sum(cell.figures.calls for cell in cells) == 200
    assert totals(scope(consumer, NOON - 6 * DAY, NOON, kind="training")).calls == 0
    assert totals(scope(stranger, NOON - 6 * DAY, NOON)).calls == 0


def test_quantiles_hold_across_buckets(scattered: list[Listing], consumer: User) -> None:
    whole = together(row.figures for row in by_time(scope(consumer, NOON - 6 * DAY, NOON), "day"))
    assert whole.ttft_p50_ms == pytest.approx(200, rel=0.1)
    assert whole.ttft_p95_ms == pytest.approx(290, rel=0.1)
    assert together([]).ttft_p50_ms is None


def test_failures_are_a_share_of_all(past_run: RunMaker, consumer: User) -> None:
    for status in (RunStatus.FAILED, RunStatus.SUCCEEDED, RunStatus.SUCCEEDED):
        past_run(at=NOON, status=status)
    rebuild(NOON, NOON + HOUR)
    assert totals(scope(consumer, NOON, NOON + HOUR)).failed_ppm == 333_333


def test_a_period_has_an_end_and_is_not_too_long(consumer: User) -> None:
    with pytest.raises(InvalidRequest):
        scope(consumer, NOON, NOON)
    with pytest.raises(InvalidRequest):
        scope(consumer, NOON - 367 * DAY, NOON)
    with pytest.raises(InvalidRequest):
        by_time(scope(consumer, NOON - 32 * DAY, NOON), "hour")
