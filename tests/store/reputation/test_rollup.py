"""Figures by the hour are those of a slow count over the runs, however often they are counted."""

from __future__ import annotations

import random
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from store.accounts.models import User
from store.catalog.models import Listing
from store.ledger.actions import wallet_of
from store.ledger.models import TransferKind, WalletKind
from store.ledger.plans import keep_plans, read_plans
from store.ledger.shares import Owed, Plan, split
from store.reputation.analytics import analytics, analytics_csv
from store.reputation.histogram import BUCKETS, LEAST, added, bucket_of, quantile
from store.reputation.models import ListingHour, PaidDay
from store.reputation.periods import HOUR, hour_of
from store.reputation.rollup import roll_up, roll_up_again
from store.reputation.service import service_of
from store.runs.actions import open_runs, settle_runs
from store.runs.books import SettleRun
from store.runs.models import Run, RunStatus
from tests.conftest import make_listing, make_user
from tests.store.reputation.conftest import RunMaker
from tests.store.runs.conftest import RequestMaker, gateway_id, request_of

__all__ = ["gateway_id", "request_of"]
pytestmark = pytest.mark.django_db
NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
SUMS = (
    "calls",
    "failed",
    "paid_calls",
    "prompt_tokens",
    "cached_tokens",
    "output_tokens",
    "charge_nano",
    "provider_nano",
    "royalty_nano",
)


def slow_count() -> dict[tuple[int, datetime], dict[str, Any]]:
    """The same figures, run by run."""
    hours: dict[tuple[int, datetime], dict[str, Any]] = defaultdict(
        lambda: {**dict.fromkeys(SUMS, 0), "first_token_ms": [0] * BUCKETS, "tokens_per_s": [0] * BUCKETS}
    )
    for run in Run.objects.exclude(status=RunStatus.OPEN):
        row = hours[run.listing_id, hour_of(run.opened_at)]
        row["calls"] += 1
        row["failed"] += run.status == RunStatus.FAILED
        row["paid_calls"] += run.charge_nano > 0
        if run.status == RunStatus.SUCCEEDED or run.output_tokens:
            row["prompt_tokens"] += run.prompt_tokens
            row["cached_tokens"] += run.cached_tokens
        row["output_tokens"] += run.output_tokens
        row["charge_nano"] += run.charge_nano
        plan = read_plans([run.shares_id])[run.shares_id] if run.shares_id else None
        shares = split(
            run.charge_nano, plan or Plan(commission_ppm=run.commission_ppm, rest_id=run.listing.organization_id)
        )
        row["provider_nano"] += sum(share.amount_nano for share in shares if share.kind == TransferKind.USAGE)
        row["royalty_nano"] += sum(share.amount_nano for share in shares if share.kind == TransferKind.ROYALTY)
        if run.first_token_ms is not None:
            row["first_token_ms"][bucket_of(run.first_token_ms)] += 1
            assert run.settled_at
            seconds = (run.settled_at - run.opened_at).total_seconds() - run.first_token_ms / 1000
            if run.status == RunStatus.SUCCEEDED and run.output_tokens > 1 and seconds > 0:
                row["tokens_per_s"][bucket_of((run.output_tokens - 1) / seconds)] += 1
    return dict(hours)


def shared_in_every_way(provider: User, stranger: User) -> list[dict[str, int]]:
    """Fields of runs: between provider and platform, and by plans with royalties under and over the cap, and of one's own calls."""
    seller, base = provider.personal_organization.id, stranger.personal_organization.id
    plans = [
        Plan(
            commission_ppm=ppm, cap_ppm=cap, royalties=owed, rest_id=base if is_own else seller, rest_is_royalty=is_own
        )
        for ppm in (0, 150_000, 1_000_000)
        for cap, owed in (
            (0, ()),
            (
                333_333,
                tuple(
                    Owed(make_user(f"above{n}{ppm}").personal_organization.id, share)
                    for n, share in enumerate((70_001, 900_000, 5))
                ),
            ),
        )
        for is_own in (False, True)
    ]
    plain = [{"commission_ppm": ppm} for ppm in (0, 150_000, 333_333, 1_000_000)]
    return plain + [
        {"commission_ppm": plan.commission_ppm, "shares_id": plan_id} for plan, plan_id in keep_plans(plans).items()
    ]


def counted() -> dict[tuple[int, datetime], dict[str, Any]]:
    names = [*SUMS, "first_token_ms", "tokens_per_s"]
    return {
        (row.listing_id, row.hour): {name: getattr(row, name) for name in names} for row in ListingHour.objects.all()
    }


@pytest.mark.parametrize("seed", range(3))
def test_a_rollup_is_what_a_slow_count_says_and_counting_again_changes_nothing(
    past_run: RunMaker, listing: Listing, provider: User, stranger: User, seed: int
) -> None:
    some = random.Random(seed)
    other = make_listing(provider.personal_organization, "other")
    shared = shared_in_every_way(provider, stranger)
    for _ in range(80):
        status = some.choice([*RunStatus.values, RunStatus.SUCCEEDED])
        opened_at = NOON + timedelta(seconds=some.choice([0, 3599.999, 3600, some.uniform(0, 3 * 3600)]))
        charge = some.choice([0, 1, 7, some.randrange(10**12)])
        past_run(
            at=opened_at,
            of=some.choice([listing, other]),
            status=status,
            charge_nano=charge,
            prompt_tokens=some.randrange(1, 5000),
            cached_tokens=some.randrange(0, 50),
            output_tokens=some.choice([0, 1, 2, some.randrange(3000)]),
            **some.choice(shared),
            first_token_ms=some.choice([None, 0, 1, 10**9, some.randrange(1, 5000)]),
            settled_at=opened_at + timedelta(seconds=some.uniform(0, 100)),
        )
    hours = [NOON + back * HOUR for back in range(4)]
    roll_up(hours)
    assert counted() == slow_count()
    paid = {
        (run.listing_id, run.organization_id, run.opened_at.date()) for run in Run.objects.filter(charge_nano__gt=0)
    }
    assert set(PaidDay.objects.values_list("listing", "organization", "day")) == paid
    roll_up(hours)
    assert counted() == slow_count()
    Run.objects.filter(status=RunStatus.OPEN).update(status=RunStatus.FAILED, settled_at=NOON)
    roll_up(hours)
    assert counted() == slow_count()


def test_the_clock_counts_the_running_hour_and_the_one_before_and_at_night_two_days(past_run: RunMaker) -> None:
    for hours_ago in (0, 1, 2, 30, 60):
        past_run(ago=timedelta(hours=hours_ago))
    roll_up()
    assert ListingHour.objects.count() == 2
    roll_up_again()
    assert ListingHour.objects.count() == 4


def test_revenue_is_what_the_ledger_moved(
    request_of: RequestMaker, listing: Listing, provider: User, consumer: User
) -> None:
    requests = [request_of(prompt_tokens=prompt) for prompt in (1, 33, 333)]
    open_runs(requests)
    endings = [(RunStatus.SUCCEEDED, 50), (RunStatus.CANCELLED, 7), (RunStatus.FAILED, 0)]
    settle_runs(
        [
            SettleRun(run_id=request.run_id, status=status, output_tokens=tokens, first_token_ms=20)
            for request, (status, tokens) in zip(requests, endings, strict=True)
        ]
    )
    roll_up()
    row = ListingHour.objects.get()
    assert (row.calls, row.failed, row.paid_calls) == (3, 1, 2)
    assert row.provider_nano == wallet_of(provider.personal_organization.id, WalletKind.EARNINGS).posted_nano > 0
    assert row.charge_nano == sum(Run.objects.values_list("charge_nano", flat=True))


def test_quantiles_are_within_a_bucket_of_the_truth() -> None:
    some = random.Random(1)
    values = [some.lognormvariate(5, 1) for _ in range(5000)]
    counts = [0] * BUCKETS
    for value in values:
        counts[bucket_of(value)] += 1
    for share in (0.05, 0.5, 0.95):
        true = sorted(values)[int(share * len(values))]
        assert quantile(counts, share) == pytest.approx(true, rel=0.1)
    assert quantile([0] * BUCKETS, 0.5) is None
    assert bucket_of(0) == bucket_of(LEAST) == 0
    assert bucket_of(1e30) == BUCKETS - 1
    assert added([]) == [0] * BUCKETS


def test_service_is_shown_by_the_hour_for_a_day_and_by_the_day_for_a_month(
    past_run: RunMaker, listing: Listing
) -> None:
    for minutes in (1, 2, 3):
        past_run(ago=timedelta(minutes=minutes))
    past_run(ago=timedelta(minutes=4), status=RunStatus.FAILED, output_tokens=0, first_token_ms=None)
    past_run(ago=timedelta(days=5), first_token_ms=4000)
    now = timezone.now()
    roll_up([now, now - HOUR, now - timedelta(days=5)])
    day = service_of(listing, 1)
    assert len(day.times) == len(day.series) == 24
    assert (day.whole.calls, day.whole.failed, day.whole.uptime) == (4, 1, 0.75)
    assert day.whole.ttft_p50_ms == pytest.approx(200, rel=0.2)
    assert day.whole.tokens_per_s == pytest.approx(10, rel=0.2)
    assert sum(service.calls for service in day.series) == 4
    assert {service.uptime for service in day.series if not service.calls} == {None}
    month = service_of(listing, 30)
    assert len(month.series) == 30
    assert month.whole.calls == 5
    assert month.whole.ttft_p95_ms == pytest.approx(4000, rel=0.2)
    assert service_of(listing, 10**9).whole.calls == 5


def test_analytics_add_up_by_day_by_hour_and_by_listing(past_run: RunMaker, listing: Listing, provider: User) -> None:
    organization = provider.personal_organization
    other = make_listing(organization, "other")
    foreign = make_listing(past_run(at=NOON).organization, "foreign")
    for at, of, charge in [
        (NOON, listing, 10),
        (NOON + HOUR, other, 10**6),
        (NOON + 24 * HOUR, listing, 3),
        (NOON, foreign, 9),
    ]:
        past_run(at=at, of=of, charge_nano=charge)
    roll_up([NOON, NOON + HOUR, NOON + 24 * HOUR])
    period: dict[str, Any] = {"organization": organization, "since": NOON - 24 * HOUR, "until": NOON + 48 * HOUR}
    by_day = analytics(**period)
    assert [(row.time, row.calls, row.charge_nano) for row in by_day] == [
        (NOON.replace(hour=0), 3, 1_001_010),
        (NOON.replace(day=5, hour=0), 1, 3),
    ]
    assert [row.calls for row in analytics(**period, by="hour")] == [2, 1, 1]
    assert [row.calls for row in analytics(**period, by="hour", listing=other)] == [1]
    by_listing = analytics(**period, by="listing")
    assert [(row.listing, row.calls) for row in by_listing] == [("provider/other", 1), ("provider/bard", 3)]
    assert sum(row.revenue_nano for row in by_listing) == sum(row.revenue_nano for row in by_day)
    assert by_day[0].ttft_p50_ms == pytest.approx(200, rel=0.2)
    assert analytics(organization=organization, since=NOON, until=NOON + HOUR, listing=foreign) == []
    lines = list(analytics_csv(by_day))
    assert lines[0].startswith("time,listing,calls,failed,")
    assert lines[1].startswith("2026-03-04T00:00:00+00:00,,3,0,3,")
    assert len(lines) == 3
