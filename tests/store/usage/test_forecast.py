"""A forecast goes on at the rate of the last seven days, says so, and says nothing where too little is known."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from store.accounts.models import User
from store.keys.budgets import create_budget
from store.keys.models import Period
from store.reputation.periods import DAY, HOUR
from store.usage.budgets import budgets_now
from store.usage.forecast import Forecast, forecast_of_month
from store.usage.rollup import rebuild
from tests.store.reputation.conftest import RunMaker, past_run

__all__ = ["past_run"]
pytestmark = pytest.mark.django_db
NOW = datetime(2026, 3, 11, 0, tzinfo=UTC)  # ten days into March, of 31


def months(user: User, *, now: datetime = NOW) -> tuple[int, Forecast | None]:
    rebuild(NOW - 20 * DAY, NOW)
    return forecast_of_month(user.personal_organization, now=now)


def test_ten_a_day_for_ten_days_are_310_in_a_month(past_run: RunMaker, consumer: User) -> None:
    for day in range(1, 16):
        past_run(at=NOW - day * DAY + HOUR, charge_nano=10_000)
    spent, found = months(consumer)
    assert (spent, found) == (
        100_000,
        Forecast(expected_nano=310_000, per_day_nano=10_000, hours=168, runs_out_at=None),
    )


def test_what_began_two_days_ago_counts_from_there(past_run: RunMaker, consumer: User) -> None:
    past_run(at=NOW - 2 * DAY + HOUR, charge_nano=30_000)
    _spent, found = months(consumer)
    assert found is not None
    assert (found.hours, found.per_day_nano, found.days) == (48, 15_000, 2)
    assert found.expected_nano == 30_000 + 21 * 15_000


def test_a_week_that_was_quiet_counts_as_a_week(past_run: RunMaker, consumer: User) -> None:
    past_run(at=NOW - 20 * DAY, charge_nano=99_000_000)
    past_run(at=NOW - HOUR, charge_nano=7_000)
    _spent, found = months(consumer)
    assert found is not None
    assert (found.hours, found.per_day_nano) == (168, 1_000)


def test_less_than_a_day_foretells_nothing(past_run: RunMaker, consumer: User) -> None:
    assert months(consumer) == (0, None)
    past_run(at=NOW - HOUR, charge_nano=7_000)
    assert months(consumer, now=NOW - 30 * HOUR / 60) == (7_000, None)


def test_a_budget_says_when_it_will_be_reached(past_run: RunMaker, consumer: User) -> None:
    for day in range(1, 8):
        past_run(at=NOW - day * DAY + HOUR, charge_nano=10_000)
    organization = consumer.personal_organization
    rebuild(NOW - 20 * DAY, NOW)
    tight = create_budget(organization=organization, user=consumer, period=Period.MONTH, limit_nano=50_000)
    wide = create_budget(
        organization=organization, user=consumer, period=Period.MONTH, member=consumer, limit_nano=10**9
    )
    daily = create_budget(organization=organization, user=consumer, period=Period.DAY, limit_nano=50_000)
    [first, second, third] = budgets_now([tight, wide, daily], now=NOW)
    assert first.forecast is not None
    assert first.forecast.expected_nano == 210_000  # nothing of it was spent since it was set
    assert first.forecast.runs_out_at == NOW + 5 * DAY
    assert (second.forecast, third.forecast) == (None, None)  # nobody used anything as this member; a day is no month
