"""The worker that trains is killed again and again in one job: exactly the steps that there were to be, and one charge."""

from __future__ import annotations

import random

import pytest

from store.bringup.demo import SAMPLE
from store.ledger.audit import audit
from store.ledger.models import HoldStatus, Transfer
from store.ledger.pricing import training_charge
from store.tuning.models import JobStatus, TuneJob
from tests.stack import Part, Shop, Stack, open_shop
from tests.stories.test_tune_story import TERMS, TRAINING_NANO, lines
from tests.waiting import await_that

pytestmark = [pytest.mark.fault, pytest.mark.timeout(3600)]

KILLS, FULL_KILLS = 2, 20
STEPS_A_KILL = 12  # that there are to be for each kill
BATCH = 4
LEASE_S = "12"
PATIENCE_S = 900


@pytest.fixture(scope="module")
def shop(stack: Stack) -> Shop:
    """The sample model, which may be trained, in a store whose leases are short."""
    opened = open_shop(SAMPLE, TERMS)
    stack.start_web(WEB_PROCESSES="1", INTERNAL_URL=stack.url)
    stack.start_cpu(INTERNAL_URL=stack.url, TUNE_LEASE_S=LEASE_S)
    return opened


def test_twenty_killed_workers_make_one_model_and_one_charge(stack: Stack, shop: Shop, full: bool) -> None:
    kills = FULL_KILLS if full else KILLS
    steps = kills * STEPS_A_KILL
    chance = random.Random(2026)
    worker = stack.start_gpu(TUNE_SLOTS="1")[0]
    with stack.client(shop.secret) as client:
        file = client.files.create(file=("train.jsonl", lines()), purpose="fine-tune")
        hyper = {"steps": steps, "batch_size": BATCH, "checkpoint_every": 2, "split": 0.0}
        made = client.fine_tuning.jobs.create(
            model=shop.model, training_file=file.id,
            method={"type": "supervised", "supervised": {"hyperparameters": hyper}},  # type: ignore[typeddict-item]
        )  # fmt: skip
    job = TuneJob.objects.get(public_id=made.id)
    for kill in range(kills):
        worker = _killed_at(stack, worker, job, kill * STEPS_A_KILL + chance.randrange(3, STEPS_A_KILL - 1))
    await_that(lambda: not _now(job).is_open, "the job has ended", timeout_s=PATIENCE_S)
    job = _now(job)
    assert job.status == JobStatus.SUCCEEDED, (job.error_code, job.error_message)
    assert job.attempts > kills
    assert (job.step, job.steps) == (steps, steps)
    trained = list(job.points.filter(step__gt=0).order_by("step").values_list("step", flat=True))
    assert trained == list(range(1, steps + 1))
    # What was trained twice is counted once: each step has its place on one rising line, and the end of it is what was charged.
    assert job.charged_tokens == job.trained_tokens <= job.quote_tokens
    tokens = list(job.points.filter(step__gt=0).order_by("step").values_list("trained_tokens", flat=True))
    assert tokens == sorted(set(tokens))
    assert tokens[-1] == job.trained_tokens
    assert job.charge_nano == training_charge(TRAINING_NANO, job.trained_tokens)
    assert job.hold is not None
    assert (job.hold.status, job.hold.captured_nano) == (HoldStatus.CAPTURED, job.charge_nano)
    assert Transfer.objects.filter(key__startswith=f"tune:{job.hold.pk}:", kind="usage").count() == 1
    assert audit() == []


def _killed_at(stack: Stack, worker: Part, job: TuneJob, step: int) -> Part:
    """Kills the worker once the job has come to a step, and starts another one."""
    await_that(lambda: _now(job).step >= step or not _now(job).is_open, f"step {step}", timeout_s=PATIENCE_S)
    worker.kill()
    return stack.start_gpu(wait=False, TUNE_SLOTS="1")[0]


def _now(job: TuneJob) -> TuneJob:
    return TuneJob.objects.select_related("hold").get(pk=job.pk)
