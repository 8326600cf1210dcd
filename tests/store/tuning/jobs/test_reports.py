"""What a worker says is written down once, in whatever order it comes; the end is paid for once."""

from __future__ import annotations

import itertools
import json
import math

import pytest

from inference import wire
from store.accounts.models import User
from store.catalog.models import Listing
from store.ledger.actions import wallet_of
from store.ledger.models import Transfer, Wallet, WalletKind
from store.tuning.actions.dispatching import MAX_FRUITLESS
from store.tuning.actions.reporting import take_report
from store.tuning.models import EventType, JobStatus, TuneEvent, TunePoint, TuneSample
from tests.store.tuning.jobs.conftest import JobMaker
from tests.store.tuning.jobs.fake_worker import STEP_TOKENS, FakeWorker

pytestmark = pytest.mark.django_db


@pytest.fixture
def worker(job_of: JobMaker, real_base: Listing) -> FakeWorker:
    """It has a job in hand that asks for one answer."""
    job_of(sample_prompts=("To be",))
    return FakeWorker.take_up()


def test_progress_is_seen(worker: FakeWorker) -> None:
    worker.train(3, stage="training", epoch_done=0.5)
    job = worker.job
    assert (job.status, job.step, job.steps, job.stage, job.epoch_done) == (JobStatus.RUNNING, 3, 10, "training", 0.5)
    assert job.trained_tokens == 3 * STEP_TOKENS
    assert job.started_at is not None
    assert job.eta_at is not None
    assert [point.loss for point in job.points.order_by("step")] == [3.0, 1.5, 1.0]
    metrics = job.events.filter(type=EventType.METRICS).order_by("id")
    assert [line.data["step"] for line in metrics] == [1, 2, 3]
    assert metrics[2].message == "Step 3/10: training loss=1.0000"


def test_steps_that_are_trained_again_replace_those_that_were_lost(worker: FakeWorker) -> None:
    worker.say("running", points=[wire.Point(step=1, loss=9.0)])
    worker.say("running", points=[wire.Point(step=1, loss=2.0)])
    assert worker.job.points.get().loss == 2.0


def test_an_older_report_undoes_nothing(worker: FakeWorker) -> None:
    worker.train(5)
    worker.say("running", step=2, trained_tokens=200)
    assert (worker.job.step, worker.job.trained_tokens) == (5, 5 * STEP_TOKENS)


def test_numbers_that_are_none_are_not_kept(worker: FakeWorker) -> None:
    report = wire.TuneReport(
        status="running", points=[wire.Point(step=1, loss=math.nan, grad_norm=math.inf)], eta_s=math.inf
    )
    take_report(job_id=worker.job.pk, epoch=1, message=report.as_json())
    point = TunePoint.objects.get()
    assert (point.loss, point.grad_norm) == (None, None)


def test_answers_are_kept_by_step_and_prompt(worker: FakeWorker) -> None:
    for step, answer in ((0, "or"), (5, "or not"), (5, "or not\0 to be")):
        worker.say("running", samples=[wire.Sample(step=step, prompt="To be", answer=answer)])
    worker.say("running", samples=[wire.Sample(step=5, prompt="nobody asked", answer="x")])
    assert list(TuneSample.objects.order_by("step").values_list("step", "answer")) == [(0, "or"), (5, "or not to be")]


def test_notes_are_said_once(worker: FakeWorker) -> None:
    for _time in range(3):
        worker.say("running", notes=["The micro-batch was halved."])
    assert worker.job.notes == ["The micro-batch was halved."]
    assert TuneEvent.objects.filter(message="The micro-batch was halved.").count() == 1


def test_a_checkpoint_is_written_down_once(worker: FakeWorker) -> None:
    worker.train(2)
    worker.checkpoint(val_loss=1.25, is_best=True)
    worker.checkpoint(val_loss=1.25, is_best=True)
    kept = worker.job.checkpoints.get()
    assert (kept.step, kept.val_loss, kept.loss, kept.trained_tokens) == (2, 1.25, 1.5, 200)
    assert kept.model_name == f"{worker.job.model_name}:ckpt-step-2"
    assert set(kept.files.values_list("path", "is_model")) == {
        ("adapter_config.json", True), ("adapter_model.safetensors", True), ("state/optimizer.safetensors", False),
    }  # fmt: skip


def test_a_checkpoint_whose_files_have_not_arrived_is_none(worker: FakeWorker) -> None:
    worker.train(2)
    made = wire.Checkpoint(step=2, trained_tokens=200, files={"a.safetensors": "0" * 64})
    worker.say("checkpoint", checkpoint=made)
    assert not worker.job.checkpoints.exists()


def test_a_done_job_is_paid_for_once(worker: FakeWorker, wallet: Wallet, provider: User) -> None:
    worker.finish()
    worker.finish()
    job = worker.job
    assert (job.status, job.trained_tokens, job.charge_nano) == (JobStatus.SUCCEEDED, 1000, 3_000_000)
    wallet.refresh_from_db()
    assert (wallet.posted_nano, wallet.held_nano) == (10 * 10**9 - 3_000_000, 0)
    assert wallet_of(provider.personal_organization.id, WalletKind.EARNINGS).posted_nano == 2_550_000
    assert Transfer.objects.filter(key__startswith="tune:").count() == 2


@pytest.mark.parametrize("order", list(itertools.permutations(("train", "checkpoint", "done"))), ids="-".join)
def test_reports_may_come_in_any_order(worker: FakeWorker, order: tuple[str, ...]) -> None:
    """They are tasks of several workers of the store's own: each of them may be late."""
    said: dict[str, list[dict[str, object]]] = {}
    with pytest.MonkeyPatch.context() as patch:
        for name, act in (
            ("train", lambda: worker.train(10)),
            ("checkpoint", worker.checkpoint),
            ("done", worker.finish),
        ):
            said[name] = []
            patch.setattr(
                "tests.store.tuning.jobs.fake_worker.take_report",
                lambda *, job_id, epoch, message, name=name: said[name].append(message),
            )
            act()
    for name in order:
        for message in said[name]:
            take_report(job_id=worker.job.pk, epoch=1, message=json.loads(json.dumps(message)))
    worker.job.refresh_from_db()
    assert (worker.job.status, worker.job.charged_tokens) == (JobStatus.SUCCEEDED, 1000)
    assert worker.job.points.count() == 10
    assert worker.job.checkpoints.count() == 1
    assert not worker.job.checkpoints.get().files.filter(is_model=False).exists()


class TestFailures:
    def test_one_of_ours_is_tried_again(self, worker: FakeWorker) -> None:
        worker.train(2)
        worker.checkpoint()
        worker.say("failed", error_code="worker_failed", error="The disk is gone.", is_ours=True)
        assert (worker.job.status, worker.job.step, worker.job.fruitless) == (JobStatus.QUEUED, 2, 1)
        assert FakeWorker.take_up().epoch == 2

    def test_after_many_it_fails_and_costs_nothing(self, worker: FakeWorker, wallet: Wallet) -> None:
        for _time in range(MAX_FRUITLESS):
            worker.train(1)
            worker.say("failed", error_code="disk_full", error="The disk is full.", is_ours=True)
            if worker.job.status == JobStatus.QUEUED:
                worker = FakeWorker.take_up()
        assert (worker.job.status, worker.job.error_code, worker.job.charge_nano) == (JobStatus.FAILED, "disk_full", 0)
        assert "The disk is full." in worker.job.error_message

    def test_diverging_is_paid_up_to_the_last_good_checkpoint(self, worker: FakeWorker) -> None:
        worker.train(4)
        worker.checkpoint()
        worker.train(3)
        worker.say("failed", error_code="diverged", error="The loss is no number at step 8.", trained_tokens=400)
        assert (worker.job.status, worker.job.charged_tokens) == (JobStatus.FAILED, 400)
        assert worker.job.checkpoints.count() == 1

    def test_diverging_before_any_checkpoint_costs_nothing(self, worker: FakeWorker) -> None:
        worker.train(4)
        worker.say("failed", error_code="diverged", error="The loss is no number at step 5.", trained_tokens=0)
        assert (worker.job.status, worker.job.charge_nano) == (JobStatus.FAILED, 0)

    def test_too_little_memory_costs_nothing(self, worker: FakeWorker) -> None:
        worker.train(1)
        worker.checkpoint()
        worker.say("failed", error_code="out_of_memory", error="It does not fit.")
        assert (worker.job.status, worker.job.error_code, worker.job.charge_nano) == (
            JobStatus.FAILED,
            "out_of_memory",
            0,
        )

    def test_what_is_refused_is_not_tried_again(self, worker: FakeWorker) -> None:
        worker.say("refused", error_code="invalid_data", error="Nothing to train on.")
        assert (worker.job.status, worker.job.error_message) == (JobStatus.FAILED, "Nothing to train on.")
        assert worker.job.lease_until is None


def test_ten_thousand_points_are_read_as_a_few(worker: FakeWorker) -> None:
    TunePoint.objects.bulk_create(
        TunePoint(job=worker.job, step=step, loss=100.0 if step == 5000 else 1.0) for step in range(1, 10_001)
    )
    curve = worker.job.points.all().curve(most=200)
    assert len(curve) <= 201
    assert curve[-1]["step"] == 10_000
    assert max(part["loss_high"] for part in curve) == 100.0
    assert all(part["loss"] is not None for part in curve)
