"""Trainings take of the same budgets as calls, when they are held for."""

from __future__ import annotations

import pytest

from store.accounts.models import User
from store.catalog.models import Listing
from store.keys.budgets import create_budget
from store.keys.caps import BudgetExceeded
from store.keys.models import BudgetUse, Period
from store.ledger.models import Hold
from store.tuning.actions.jobs import cancel_job, validate_job
from store.tuning.models import JobStatus, Tally, TuneJob
from tests.store.tuning.jobs.conftest import JobMaker, count
from tests.store.tuning.jobs.test_jobs import MOST_NANO, trained

pytestmark = pytest.mark.django_db


def test_a_training_takes_its_worst_case_of_every_budget_that_binds_it(
    job_of: JobMaker, consumer: User, base: Listing
) -> None:
    organization = consumer.personal_organization
    for who in ({}, {"member": consumer}, {"listing": base}):
        create_budget(organization=organization, user=consumer, period=Period.MONTH, limit_nano=MOST_NANO, **who)  # type: ignore[arg-type]
    job = job_of()
    assert len(job.budget_uses) == 3
    assert list(BudgetUse.objects.values_list("used_nano", flat=True)) == [MOST_NANO] * 3
    with pytest.raises(BudgetExceeded):
        job_of()
    cancel_job(job=trained(job, 1_000), user=consumer)
    assert list(BudgetUse.objects.values_list("used_nano", flat=True)) == [3_000_000] * 3


def test_a_refused_training_is_not_made_and_noted_once(job_of: JobMaker, consumer: User) -> None:
    organization = consumer.personal_organization
    create_budget(organization=organization, user=consumer, period=Period.DAY, limit_nano=MOST_NANO - 1)
    create_budget(organization=organization, user=consumer, period=Period.TOTAL, limit_nano=0, is_hard=False)
    for _ in range(2):
        with pytest.raises(BudgetExceeded) as refused:
            job_of()
    assert refused.value.message.startswith("The organization's budget, $0.359999999 per day,")
    assert not TuneJob.objects.exists()
    assert not Hold.objects.exists()
    use = BudgetUse.objects.get()
    assert (use.used_nano, use.refused_at is not None) == (0, True)


def test_one_whose_tokens_were_counted_later_fails_on_a_budget(
    job_of: JobMaker, consumer: User, base: Listing, wish: object
) -> None:
    organization = consumer.personal_organization
    create_budget(organization=organization, user=consumer, period=Period.DAY, limit_nano=MOST_NANO - 1)
    Tally.objects.all().delete()
    job = job_of()
    assert job.status == JobStatus.VALIDATING
    Tally.objects.all().delete()
    count(job.training_file, base)
    validate_job(job.pk)
    job.refresh_from_db()
    assert (job.status, job.error_code, job.budget_uses) == (JobStatus.FAILED, "budget_exceeded", [])
    assert BudgetUse.objects.get().refused_at is not None
