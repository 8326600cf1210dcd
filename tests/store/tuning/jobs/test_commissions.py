"""A training is shared by the commission of the moment in which its amount was held."""

from __future__ import annotations

import pytest

from store.accounts.models import User
from store.catalog.actions import set_commission
from store.catalog.actions.commissions import CommissionSpec
from store.catalog.models import CommissionScope, Listing
from store.ledger.models import Transfer
from store.tuning.actions.jobs import cancel_job, create_job, validate_job
from store.tuning.models import DataFile, JobStatus, Tally, TallyStatus, TuneJob
from tests.store.derivatives import made_from, set_royalty
from tests.store.tuning.jobs.conftest import FILE_TOKENS, WishMaker, allow_training

pytestmark = pytest.mark.django_db


def rule(ppm: int) -> None:
    spec = CommissionSpec(name="All", scope=CommissionScope.GLOBAL, ppm=ppm)
    set_commission(spec=spec, user=None, reason="A test.")


def platform(job: TuneJob) -> int:
    """What the store has of 10,000 tokens for $0.03."""
    TuneJob.objects.filter(pk=job.pk).update(trained_tokens=10_000)
    ended = cancel_job(job=job)
    assert ended.charge_nano == 30_000_000
    return Transfer.objects.get(key=f"tune:{ended.hold_id}:platform").amount_nano


def test_a_rule_that_begins_after_the_hold_changes_nothing(wish: WishMaker, consumer: User) -> None:
    rule(100_000)
    job = create_job(wish=wish(), user=consumer)
    rule(500_000)
    assert platform(job) == 3_000_000


def test_a_job_whose_tokens_were_counted_later_has_the_rate_of_its_hold(
    wish: WishMaker, consumer: User, stranger: User, base: Listing, file: DataFile
) -> None:
    """Of a base with a royalty, so that the rate is in the plan of shares as well as in the job: the audit compares them."""
    set_royalty(base, 100_000)
    tuned = made_from(base, stranger, "tuned")
    allow_training(tuned)
    job = create_job(wish=wish(base=tuned), user=consumer)
    assert job.status == JobStatus.VALIDATING
    rule(200_000)
    Tally.objects.filter(file=file, release=tuned.current_release).update(
        status=TallyStatus.DONE, tokens=FILE_TOKENS, examples=200, longest=200
    )
    validate_job(job.pk)
    rule(500_000)
    assert platform(job) == 6_000_000
