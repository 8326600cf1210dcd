"""Jobs are given out as workers have room, organization after organization; what a worker drops goes on elsewhere."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from store.accounts.models import User
from store.catalog.models import Listing, ListingStatus
from store.ledger.models import Hold, HoldStatus, Wallet
from store.tuning.actions.dispatching import MAX_FRUITLESS, dispatch, reap_jobs
from store.tuning.actions.jobs import cancel_job, create_job, pause_job, resume_job
from store.tuning.models import DataFile, JobStatus, TuneCheckpointFile, TuneJob
from tests.conftest import make_user
from tests.store.tuning.jobs.conftest import JobMaker, WishMaker, count, make_file
from tests.store.tuning.jobs.fake_worker import STEP_TOKENS, FakeWorker

pytestmark = pytest.mark.django_db


def fall_silent(job: TuneJob) -> None:
    """As if its worker had said nothing for long; the reaper comes by."""
    TuneJob.objects.filter(pk=job.pk).update(lease_until=timezone.now() - timedelta(seconds=1))
    reap_jobs()
    job.refresh_from_db()


def test_no_more_are_given_out_than_workers_have_room_for(job_of: JobMaker) -> None:
    first, second, third = (job_of() for _time in range(3))
    assert list(dispatch(0)) == []
    assert [job.pk for job in dispatch(2)] == [first.pk, second.pk]
    assert list(dispatch(2)) == []
    assert third.position() == 1
    assert [job.pk for job in dispatch(3)] == [third.pk]


def test_organizations_take_turns(job_of: JobMaker, wish: WishMaker, base: Listing) -> None:
    mine = [job_of() for _time in range(3)]
    other = make_user("other")
    file = make_file(other.personal_organization)
    count(file, base, tokens=0)
    asked = wish(organization=other.personal_organization, training_file=file)
    others = [create_job(wish=asked, user=other) for _time in range(2)]
    line = [mine[0], others[0], mine[1], others[1], mine[2]]
    assert list(TuneJob.objects.in_line()) == line
    assert [job.position() for job in line] == [1, 2, 3, 4, 5]
    list(dispatch(1))  # what somebody has in hand counts as their turn
    assert list(TuneJob.objects.in_line()) == [others[0], mine[1], others[1], mine[2]]


def test_a_worker_that_dies_is_followed_by_another_at_the_newest_checkpoint(job_of: JobMaker, wallet: Wallet) -> None:
    job_of()
    first = FakeWorker.take_up()
    first.train(4)
    first.checkpoint()
    first.train(3)
    assert first.job.trained_tokens == 7 * STEP_TOKENS
    fall_silent(first.job)
    assert (first.job.status, first.job.step, first.job.trained_tokens) == (JobStatus.QUEUED, 4, 4 * STEP_TOKENS)
    second = FakeWorker.take_up()
    assert (second.epoch, second.step) == (2, 4)
    second.train(1)
    assert (second.job.status, second.job.step) == (JobStatus.RUNNING, 5)
    wallet.refresh_from_db()
    assert wallet.held_nano == 360_000_000


def test_who_is_fenced_is_not_heard(job_of: JobMaker) -> None:
    job_of()
    old = FakeWorker.take_up()
    old.train(2)
    old.checkpoint()
    fall_silent(old.job)
    new = FakeWorker.take_up()
    new.train(1)
    for word in (lambda: old.train(6), lambda: old.finish(), lambda: old.say("failed", error="no"), old.checkpoint):
        word()
        assert (old.job.status, old.job.step, old.job.attempts) == (JobStatus.RUNNING, 3, 2)
    assert old.job.checkpoints.count() == 1


def test_a_message_that_is_lost_is_sent_again_and_is_nobodys_failure(job_of: JobMaker) -> None:
    job = job_of()
    for attempt in range(1, MAX_FRUITLESS + 3):
        worker = FakeWorker.take_up()
        assert worker.epoch == attempt
        fall_silent(worker.job)
    job.refresh_from_db()
    assert (job.status, job.fruitless) == (JobStatus.QUEUED, 0)


def test_a_job_that_kills_every_worker_fails_and_costs_nothing(job_of: JobMaker, wallet: Wallet) -> None:
    job_of()
    for _time in range(MAX_FRUITLESS):
        worker = FakeWorker.take_up()
        worker.train(3)
        fall_silent(worker.job)
    assert (worker.job.status, worker.job.error_code, worker.job.charge_nano) == (JobStatus.FAILED, "worker_lost", 0)
    wallet.refresh_from_db()
    assert (wallet.posted_nano, wallet.held_nano) == (10 * 10**9, 0)
    assert list(dispatch(1)) == []


def test_workers_that_die_after_checkpoints_do_not_make_it_fail(job_of: JobMaker) -> None:
    job_of()
    for _time in range(20):
        worker = FakeWorker.take_up(steps=40)
        worker.train(2)
        worker.checkpoint()
        worker.train(1)
        fall_silent(worker.job)
    assert (worker.job.status, worker.job.step) == (JobStatus.QUEUED, 40)
    assert TuneCheckpointFile.objects.filter(is_model=False).count() == 1  # only the newest can be gone on from


class TestPausing:
    def test_the_worker_stops_at_a_checkpoint_and_another_goes_on(self, job_of: JobMaker, consumer: User) -> None:
        job = job_of()
        worker = FakeWorker.take_up()
        worker.train(5)
        pause_job(job=job, user=consumer)
        worker.checkpoint()
        worker.say("stopped")
        assert (worker.job.status, worker.job.lease_until, worker.job.step) == (JobStatus.PAUSED, None, 5)
        assert list(dispatch(1)) == []
        resume_job(job=job, user=consumer)
        assert FakeWorker.take_up().step == 5

    def test_who_resumes_at_once_waits_for_the_worker_to_stop(self, job_of: JobMaker, consumer: User) -> None:
        job = job_of()
        worker = FakeWorker.take_up()
        worker.train(5)
        pause_job(job=job, user=consumer)
        resume_job(job=job, user=consumer)
        assert list(dispatch(1)) == []
        worker.checkpoint()
        worker.say("stopped")
        assert FakeWorker.take_up().step == 5

    def test_a_worker_that_never_answers_is_not_waited_for(self, job_of: JobMaker, consumer: User) -> None:
        job = job_of()
        worker = FakeWorker.take_up()
        worker.train(5)
        pause_job(job=job, user=consumer)
        fall_silent(worker.job)
        assert (worker.job.status, worker.job.trained_tokens) == (JobStatus.PAUSED, 0)

    def test_a_job_that_is_done_before_it_hears_of_the_pause_has_succeeded(
        self, job_of: JobMaker, consumer: User, real_base: Listing
    ) -> None:
        job = job_of()
        worker = FakeWorker.take_up()
        worker.train(10)
        pause_job(job=job, user=consumer)
        worker.finish()
        assert worker.job.status == JobStatus.SUCCEEDED


def test_a_cancelled_worker_may_still_leave_its_last_checkpoint(job_of: JobMaker) -> None:
    job = job_of()
    worker = FakeWorker.take_up()
    worker.train(5)
    cancel_job(job=job)
    assert list(dispatch(1)) == []  # its place is taken until it says that it has stopped
    worker.checkpoint()
    worker.say("stopped")
    assert (worker.job.status, worker.job.charged_tokens) == (JobStatus.CANCELLED, 5 * STEP_TOKENS)
    assert worker.job.lease_until is None
    assert worker.job.checkpoints.get().files.filter(is_model=False).count() == 0


class TestWhatEndsAJobFromOutside:
    @pytest.mark.parametrize("standing", [ListingStatus.WITHDRAWN, ListingStatus.SUSPENDED])
    def test_a_base_that_is_taken_away(self, job_of: JobMaker, base: Listing, standing: str, wallet: Wallet) -> None:
        job_of()
        worker = FakeWorker.take_up()
        worker.train(2)
        worker.checkpoint()
        Listing.objects.filter(pk=base.pk).update(status=standing)
        assert reap_jobs() == 1
        worker.say("running")
        assert (worker.job.status, worker.job.error_code) == (JobStatus.FAILED, "base_withdrawn")
        assert (worker.job.charge_nano, worker.job.checkpoints.count()) == (0, 1)

    def test_a_base_that_is_deprecated_is_still_trained(self, job_of: JobMaker, base: Listing) -> None:
        job_of()
        Listing.objects.filter(pk=base.pk).update(status=ListingStatus.DEPRECATED)
        assert reap_jobs() == 0
        assert len(list(dispatch(1))) == 1

    def test_its_last_day_is_paid_up_to_the_newest_checkpoint(self, job_of: JobMaker, consumer: User) -> None:
        job = job_of()
        worker = FakeWorker.take_up()
        worker.train(2)
        worker.checkpoint()
        worker.train(2)
        later = timezone.now() + timedelta(days=365)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("store.tuning.actions.dispatching.timezone.now", lambda: later)
            assert reap_jobs() == 1
        job.refresh_from_db()
        assert (job.status, job.error_code, job.charged_tokens) == (JobStatus.FAILED, "expired", 2 * STEP_TOKENS)
        assert Hold.objects.get().status == HoldStatus.CAPTURED

    def test_a_file_that_has_expired_before_it_was_trained(self, job_of: JobMaker, file: DataFile) -> None:
        job = job_of()
        DataFile.objects.filter(pk=file.pk).update(blob=None)
        assert list(dispatch(1)) == []
        job.refresh_from_db()
        assert (job.status, job.error_code, job.error_param) == (JobStatus.FAILED, "file_deleted", "training_file")
