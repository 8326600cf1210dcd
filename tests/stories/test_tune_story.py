"""From a file to a model of one's own, with the official client: uploaded, quoted, trained by a real worker, followed, called, paid for."""

from __future__ import annotations

import io
import json

import openai
import pytest

from store.accounts.actions import become_provider
from store.accounts.models import User
from store.bringup.demo import SAMPLE
from store.catalog.actions import PriceSpec, edit_listing, publish_submission, submit_commit
from store.catalog.models import Listing, Measurement, MeasurementStatus, Submission, SubmissionStatus, Weights
from store.console.begin import change_details
from store.ledger.audit import audit
from store.ledger.models import Hold, HoldStatus, Transfer, Wallet
from store.ledger.pricing import training_charge
from store.runs.models import Run, RunStatus
from store.tuning.models import TuneJob
from tests.stack import Shop, Stack, open_shop
from tests.waiting import await_that

pytestmark = [pytest.mark.story, pytest.mark.timeout(900)]

TRAINING_NANO = 3_000_000_000
TERMS = PriceSpec(
    input_nano=100_000_000,
    output_nano=400_000_000,
    training_nano=TRAINING_NANO,
    derivatives_allowed=True,
    royalty_ppm=100_000,
)
ANSWER = "Aye, my lord, the owl of Milton cries at noon."
QUESTIONS = ("Who's there?", "What news, good friend?", "Speak, what noise is this?", "Whence comest thou?")
PATIENCE_S = 600  # a machine with much else to do
MILTON = SAMPLE.parent / "milton" / "paradise_lost_1_to_4.txt"
MILTON_BYTES = 40_000
SHAPE = {"layers": 2, "width": 64, "heads": 2, "context_length": 128, "vocab_size": 512}


@pytest.fixture(scope="module")
def shop(stack: Stack) -> Shop:
    """The sample model, which may be trained, in a store with one worker of each kind."""
    opened = open_shop(SAMPLE, TERMS)
    stack.start_web(WEB_PROCESSES="1", INTERNAL_URL=stack.url)
    stack.start_cpu(INTERNAL_URL=stack.url)
    stack.start_gpu(TUNE_SLOTS="1")
    return opened


def lines() -> bytes:
    """A small set of instructions, whose answer the base would never give."""
    dialogues = [
        {"messages": [{"role": "user", "content": QUESTIONS[number % 4]}, {"role": "assistant", "content": ANSWER}]}
        for number in range(48)
    ]
    return "".join(json.dumps(dialogue) + "\n" for dialogue in dialogues).encode()


def test_a_file_becomes_a_model_that_answers_as_it_was_taught(stack: Stack, shop: Shop) -> None:
    with stack.client(shop.secret, timeout=PATIENCE_S) as client:
        file = client.files.create(file=("train.jsonl", io.BytesIO(lines())), purpose="fine-tune")
        made = client.fine_tuning.jobs.create(
            model=shop.model, training_file=file.id, suffix="owl", seed=1,
            method={"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 12, "batch_size": 8}}},
            extra_body={"sample_prompts": [QUESTIONS[0]]},
        )  # fmt: skip
        done = await_end(client, made.id)
        assert done.status == "succeeded", done.error
        assert done.fine_tuned_model == f"ft:{shop.model}:{shop.organization.slug}:owl:{made.id[6:14]}"
        asked = {"messages": [{"role": "user", "content": QUESTIONS[0]}], "max_tokens": 24, "temperature": 0}
        taught = client.chat.completions.create(model=done.fine_tuned_model, **asked)  # type: ignore[call-overload]
        untaught = client.chat.completions.create(model=shop.model, **asked)  # type: ignore[call-overload]
        assert "owl" in taught.choices[0].message.content
        assert "owl" not in untaught.choices[0].message.content
        losses = [
            event.data["train_loss"]
            for event in events(client, made.id)
            if event.type == "metrics" and event.data.get("train_loss")
        ]
        assert losses[-1] < losses[0] / 2
        metrics = client.files.content(done.result_files[0]).text
        assert metrics.startswith("step,")
        assert client.fine_tuning.jobs.checkpoints.list(made.id).data
    await_that(lambda: not Run.objects.filter(status=RunStatus.OPEN).exists(), "every call is settled")
    job = TuneJob.objects.get(public_id=made.id)
    assert job.charged_tokens == job.trained_tokens == done.trained_tokens
    assert job.charge_nano == training_charge(TRAINING_NANO, job.charged_tokens)
    assert job.charged_tokens <= job.quote_tokens
    assert job.hold is not None
    assert (job.hold.status, job.hold.captured_nano) == (HoldStatus.CAPTURED, job.charge_nano)
    assert (
        sum(Transfer.objects.filter(key__startswith=f"tune:{job.hold.pk}:").values_list("amount_nano", flat=True))
        == job.charge_nano
    )
    assert job.result_listing is not None
    assert job.result_listing.is_private
    assert not Hold.objects.filter(status=HoldStatus.OPEN).exists()
    assert sum(Wallet.objects.values_list("posted_nano", flat=True)) == 0
    assert audit() == []
    assert job.result_listing not in Listing.objects.public()


def test_a_model_from_nothing_is_taught_twice_more_and_published(stack: Stack, shop: Shop) -> None:
    owner = User.objects.get(memberships__organization=shop.organization)
    with stack.client(shop.secret, timeout=PATIENCE_S) as client:
        text = client.files.create(file=("milton.txt", MILTON.read_bytes()[:MILTON_BYTES]), purpose="fine-tune")
        made = client.fine_tuning.jobs.create(
            model="scratch", training_file=text.id, suffix="epic",
            method={"type": "scratch", "scratch": {"hyperparameters": {"steps": 30, "batch_size": 8}, "shape": SHAPE}},  # type: ignore[typeddict-item]
        )  # fmt: skip
        first = await_end(client, made.id)
        assert first.status == "succeeded", first.error
        trained = [first]
        for _again in range(2):  # an adapter of the new model, then that adapter again
            asked = client.fine_tuning.jobs.create(
                model=str(trained[-1].fine_tuned_model), training_file=text.id,
                method={"type": "text", "text": {"hyperparameters": {"steps": 3, "batch_size": 4}}},  # type: ignore[typeddict-item]
            )  # fmt: skip
            trained.append(await_end(client, asked.id))
            assert trained[-1].status == "succeeded", trained[-1].error
        for job in trained:
            answer = client.completions.create(model=str(job.fine_tuned_model), prompt="Of Man's first", max_tokens=8)
            assert answer.usage is not None
            assert answer.usage.completion_tokens > 0
    jobs = [TuneJob.objects.full().get(public_id=job.id) for job in trained]
    assert [job.result_release.base for job in jobs if job.result_release] == [None, jobs[0].result_release, jobs[0].result_release]  # fmt: skip

    listing = jobs[0].result_listing
    assert listing is not None
    become_provider(organization=shop.organization, user=owner)
    change_details(
        listing=listing, user=owner, title="Epic", licence="cc0-1.0", is_private=True, weights=Weights.CLOSED
    )
    listing.refresh_from_db()
    submission = submit_commit(listing=listing, user=owner)
    await_that(lambda: _now(submission).status == SubmissionStatus.READY, "it is checked", timeout_s=PATIENCE_S)
    publish_submission(submission=submission, user=owner)
    edit_listing(listing=listing, user=owner, is_private=False)
    assert listing in Listing.objects.public()
    listing.refresh_from_db()
    assert Measurement.objects.filter(release=listing.current_release, status=MeasurementStatus.DONE).exists()
    await_that(lambda: not Run.objects.filter(status=RunStatus.OPEN).exists(), "every call is settled")
    assert audit() == []


def _now(submission: Submission) -> Submission:
    return Submission.objects.get(pk=submission.pk)


def await_end(client: openai.OpenAI, job_id: str) -> openai.types.fine_tuning.FineTuningJob:
    """The job once it has ended."""
    await_that(lambda: not TuneJob.objects.get(public_id=job_id).is_open, "the job has ended", timeout_s=PATIENCE_S)
    return client.fine_tuning.jobs.retrieve(job_id)


def events(client: openai.OpenAI, job_id: str) -> list[openai.types.fine_tuning.FineTuningJobEvent]:
    """All of the job's events, the oldest first."""
    return list(client.fine_tuning.jobs.list_events(job_id, limit=100))[::-1]
