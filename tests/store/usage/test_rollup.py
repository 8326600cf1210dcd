"""Buckets of usage are a slow count over runs and trainings, however often, in which order and how late they are counted."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.utils import timezone

from store.ledger.audit import audit
from store.reputation.histogram import BUCKETS, bucket_of
from store.reputation.periods import HOUR, hour_of
from store.runs.models import Run, RunStatus
from store.tuning.models import JobStatus, TuneJob
from store.usage.counting_sql import COUNTS
from store.usage.models import CountedHour, Grain, UsageBucket, UsageSlice
from store.usage.rollup import GRACE, counted_until, rebuild, roll_up
from tests.store.reputation.conftest import RunMaker, past_run

__all__ = ["past_run"]
pytestmark = pytest.mark.django_db
NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
Key = tuple[str, datetime, int, int | None, int | None, int | None, str]


def slow_count() -> dict[Key, dict[str, Any]]:
    """The same, one by one."""
    buckets: dict[Key, dict[str, Any]] = defaultdict(
        lambda: {**dict.fromkeys(COUNTS, 0), "first_token_ms": [0] * BUCKETS}
    )
    for run in Run.objects.exclude(status=RunStatus.OPEN).select_related("api_key"):
        member = run.user_id or (run.api_key.created_by_id if run.api_key else None)
        for grain, begin in (("hour", hour_of(run.opened_at)), ("day", hour_of(run.opened_at).replace(hour=0))):
            row = buckets[grain, begin, run.organization_id, member, run.api_key_id, run.listing_id, run.endpoint]
            row["calls"] += 1
            row["failed"] += run.status == RunStatus.FAILED
            if run.status == RunStatus.SUCCEEDED or run.output_tokens:
                row["input_tokens"] += run.prompt_tokens - run.cached_tokens
                row["cached_tokens"] += run.cached_tokens
            row["output_tokens"] += run.output_tokens
            row["charge_nano"] += run.charge_nano
            if run.first_token_ms is not None:
                row["first_token_ms"][bucket_of(run.first_token_ms)] += 1
    for job in TuneJob.objects.exclude(hold=None).exclude(finished_at=None):
        assert job.finished_at
        listing = job.base.listing_id if job.base else None
        for grain, begin in (("hour", hour_of(job.finished_at)), ("day", hour_of(job.finished_at).replace(hour=0))):
            row = buckets[grain, begin, job.organization_id, job.created_by_id, job.api_key_id, listing, "training"]
            row["trainings"] += 1
            row["failed"] += job.status == JobStatus.FAILED
            row["training_tokens"] += job.charged_tokens
            row["charge_nano"] += job.charge_nano
    return dict(buckets)


def counted() -> dict[Key, dict[str, Any]]:
    return {
        (row.grain, row.starts_at, row.organization_id, row.member_id, row.api_key_id, row.listing_id, row.kind): {
            **{name: getattr(row, name) for name in COUNTS}, "first_token_ms": row.first_token_ms,
        }
        for row in UsageBucket.objects.all()
    }  # fmt: skip


def usage_mismatches() -> list[str]:
    return [str(mismatch) for mismatch in audit() if mismatch.check.startswith("usage of")]


def test_buckets_are_the_slow_count(many_runs: None) -> None:
    hours = roll_up(now=NOON)
    first = Run.objects.order_by("id")[0].opened_at
    assert (hours[0], hours[-1]) == (NOON, hour_of(first) - HOUR)
    assert counted() == slow_count()
    assert usage_mismatches() == []
    roll_up(now=NOON)
    assert counted() == slow_count()


def test_a_run_that_stays_open_keeps_its_hour_open_and_no_other(past_run: RunMaker) -> None:
    past_run(at=NOON - 5 * HOUR)
    late = past_run(at=NOON - 5 * HOUR, status=RunStatus.OPEN, output_tokens=0, charge_nano=0, settled_at=None)
    past_run(at=NOON - 3 * HOUR)
    roll_up(now=NOON + 30 * timedelta(minutes=1))
    open_hours = list(CountedHour.objects.filter(is_final=False).order_by("hour").values_list("hour", flat=True))
    assert open_hours == [NOON - 5 * HOUR, NOON]
    assert roll_up(now=NOON + 30 * timedelta(minutes=1)) == [NOON, NOON - 5 * HOUR]
    Run.objects.filter(pk=late.pk).update(status=RunStatus.SUCCEEDED, output_tokens=7, charge_nano=5)
    assert NOON - 5 * HOUR in roll_up(now=NOON + 30 * timedelta(minutes=1))
    assert counted() == slow_count()
    assert roll_up(now=NOON + 30 * timedelta(minutes=1)) == [NOON]


def test_an_hour_is_final_only_when_nothing_can_come_late(past_run: RunMaker) -> None:
    past_run(at=NOON - timedelta(seconds=1))
    roll_up(now=NOON + GRACE - timedelta(seconds=1))
    assert not CountedHour.objects.get(hour=NOON - HOUR).is_final
    past_run(at=NOON - timedelta(seconds=1))  # it was committed late
    roll_up(now=NOON + GRACE)
    assert CountedHour.objects.get(hour=NOON - HOUR).is_final
    assert counted() == slow_count()


def test_hours_without_runs_are_counted_once(past_run: RunMaker) -> None:
    past_run(at=NOON - 40 * HOUR)
    assert len(roll_up(now=NOON + GRACE)) == 42
    assert roll_up(now=NOON + GRACE) == [NOON]
    assert roll_up(now=NOON + HOUR) == [NOON + HOUR, NOON]


def test_nothing_is_counted_where_there_is_nothing() -> None:
    assert roll_up() == []
    assert counted_until() is None


def test_any_time_can_be_counted_again(many_runs: None) -> None:
    roll_up(now=NOON)
    UsageBucket.objects.filter(grain=Grain.HOUR).update(calls=7)
    UsageBucket.objects.filter(grain=Grain.DAY).delete()
    assert usage_mismatches() != []
    call_command("usage", "rebuild", "2026-03-01", "2026-03-05T00:00")
    assert counted() == slow_count()
    assert usage_mismatches() == []
    with pytest.raises(CommandError):
        call_command("usage", "rebuild", "2026-03-05", "2026-03-05")


def test_each_bucket_that_differs_is_named(many_runs: None) -> None:
    roll_up(now=NOON)
    hours = list(UsageBucket.objects.filter(grain=Grain.HOUR, starts_at__lt=NOON - 2 * HOUR).order_by("pk"))
    changed, gone, histogram = hours[0], hours[1], hours[2]
    UsageBucket.objects.filter(pk=changed.pk).update(charge_nano=changed.charge_nano + 1)
    UsageBucket.objects.filter(pk=gone.pk).delete()
    UsageBucket.objects.filter(pk=histogram.pk).update(first_token_ms=[1, *histogram.first_token_ms[1:]])
    extra = {
        name: getattr(changed, name) for name in (*COUNTS, "first_token_ms", "grain", "starts_at", "organization_id")
    }
    UsageBucket.objects.create(**extra, kind="embedding")
    named = [mismatch for mismatch in audit() if mismatch.check == "usage of an hour"]
    assert len(named) == 4
    assert sum(mismatch.expected == "no bucket" for mismatch in named) == 1
    assert sum(mismatch.found == "no bucket" for mismatch in named) == 1
    moments = {mismatch.row[len("hour ") :][:16] for mismatch in named}
    assert moments == {f"{each.starts_at:%Y-%m-%d %H:%M}" for each in (changed, gone, histogram)}
    rebuild(NOON - 80 * HOUR, NOON)
    assert usage_mismatches() == []


def test_each_slice_that_differs_is_named(many_runs: None) -> None:
    roll_up(now=NOON)
    changed, gone, histogram = UsageSlice.objects.order_by("?")[:3]
    UsageSlice.objects.filter(pk=changed.pk).update(calls=changed.calls + 1)
    UsageSlice.objects.filter(pk=gone.pk).delete()
    UsageSlice.objects.filter(pk=histogram.pk).update(first_token_ms=[1_000, *histogram.first_token_ms[1:]])
    named = sorted(mismatch.row for mismatch in audit() if mismatch.check == "usage of a slice")
    parts = [f"{each.grain} {each.dimension} {each.starts_at:%Y-%m-%d %H:%M}" for each in (changed, gone, histogram)]
    assert len(named) == 3
    assert all(name.startswith(part) for name, part in zip(named, sorted(parts), strict=True))
    rebuild(NOON - 80 * HOUR, NOON)
    assert usage_mismatches() == []


def test_a_run_of_now_is_counted_at_once_and_the_running_hour_is_not_audited(past_run: RunMaker) -> None:
    past_run()
    roll_up()
    assert counted() == slow_count()
    assert counted_until() is not None
    past_run(at=timezone.now())
    assert usage_mismatches() == []
