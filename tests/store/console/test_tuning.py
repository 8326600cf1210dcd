"""The pages of trainings: what one costs before, what one sees during, two beside each other; and another's are a 404."""

from __future__ import annotations

import html
import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from store.accounts.models import Membership, Role, User
from store.catalog.models import Listing
from store.ledger.models import Wallet
from store.tuning.models import (
    DataFile,
    FileStatus,
    JobStatus,
    TallyStatus,
    TuneCheckpoint,
    TuneJob,
    TunePoint,
    TuneSample,
)
from tests.store.tuning.conftest import files, sent
from tests.store.tuning.jobs.conftest import (
    JobMaker,
    WishMaker,
    allow_training,
    base,
    count,
    file,
    job_of,
    make_file,
    wish,
)

__all__ = ["base", "file", "files", "job_of", "wish"]
pytestmark = pytest.mark.django_db
POINTS = 100_000


@pytest.fixture
def filled(file: DataFile, base: Listing, wallet: Wallet) -> dict[str, str]:
    """The form of three epochs on the consumer's file, filled in."""
    return {
        "training_file": file.public_id, "base": base.name, "method": "supervised", "adaptation": "lora", "epochs": "3",
        "suffix": "verse", "sample_prompts": "Who are you?\n\nAnd why?",
    }  # fmt: skip


def text_of(response: Any) -> str:
    return html.unescape(response.content.decode())


def computed_in(page: str) -> Any:
    found = re.search(r'<script id="computed" type="application/json">(.*?)</script>', page, re.DOTALL)
    assert found
    return json.loads(found[1])


def test_the_empty_list_says_what_this_is(browser: Client) -> None:
    page = text_of(browser.get("/tune"))
    assert "Nothing trained yet" in page
    assert 'href="/tune/new"' in page
    assert Client().get("/tune").status_code == 302


def test_a_quote_has_every_value_before_anything_is_held(
    browser: Client, filled: dict[str, str], wallet: Wallet
) -> None:
    page = text_of(browser.post("/tune/new/quote", filled))
    assert "$0.36" in page  # 3 epochs of 40,000 tokens at $3 a million
    assert "120,000" in page
    assert "$9.64" in page  # what is left of ten dollars
    computed = computed_in(page)
    assert computed["epochs"] == 3
    assert computed["learning_rate"] > 0
    assert computed["batch_size"] >= 1
    assert not TuneJob.objects.exists()
    wallet.refresh_from_db()
    assert wallet.held_nano == 0


def test_a_quote_shows_the_terms_of_the_base(browser: Client, filled: dict[str, str], base: Listing) -> None:
    allow_training(base, royalty_ppm=25_000)
    page = text_of(browser.post("/tune/new/quote", filled))
    assert "2.5% of each call goes to its provider" in page
    assert "$3.00" in page


def test_a_quote_waits_for_what_is_being_counted(browser: Client, filled: dict[str, str], file: DataFile) -> None:
    file.tallies.update(status=TallyStatus.RUNNING)
    page = text_of(browser.post("/tune/new/quote", filled))
    assert "being counted" in page
    assert "every 1s" in page


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"learning_rate": "fast"}, "learning_rate must be a number"),
        ({"rank": "0"}, "Rank must be a whole number"),
        ({"epochs": "1", "steps": "5"}, "Give epochs or steps, not both"),
        ({"max_length": "100000"}, "reads at most 512 tokens"),
        ({"method": "dpo"}, "this method learns from"),
        ({"adaptation": "full"}, "train an adapter"),
    ],
)
def test_what_cannot_be_is_said_in_the_quote_and_at_the_field(
    browser: Client, filled: dict[str, str], changes: dict[str, str], words: str
) -> None:
    page = text_of(browser.post("/tune/new/quote", {**filled, **changes}))
    assert words.lower() in page.lower()
    response = browser.post("/tune/new", {**filled, **changes})
    assert response.status_code == 400
    assert "field-error" in response.content.decode()
    assert not TuneJob.objects.exists()


@pytest.mark.parametrize(
    "wrong",
    [{"base": "nobody/nothing"}, {"base": ""}, {"training_file": "file-nothing"}, {"method": "magic"}, {"suffix": "x" * 65}],
)  # fmt: skip
def test_a_form_that_makes_no_sense_starts_nothing(
    browser: Client, filled: dict[str, str], wrong: dict[str, str]
) -> None:
    assert browser.post("/tune/new", {**filled, **wrong}).status_code == 422
    assert browser.post("/tune/new/quote", {**filled, **wrong}).status_code == 200
    assert not TuneJob.objects.exists()


def test_a_base_whose_terms_forbid_it_is_refused_with_a_sentence(
    browser: Client, filled: dict[str, str], base: Listing
) -> None:
    allow_training(base, derivatives_allowed=False)
    assert "do not allow fine-tunes" in text_of(browser.post("/tune/new/quote", filled))
    assert base.name not in text_of(browser.get("/tune/new"))
    assert "Fine-tune this model" not in text_of(browser.get(f"/{base.name}"))


def test_a_balance_that_is_too_small_is_said_before_and_refused(
    browser: Client, filled: dict[str, str], base: Listing
) -> None:
    allow_training(base, training_nano=300_000_000_000)  # $36 for what the form asks
    page = text_of(browser.post("/tune/new/quote", filled))
    assert "The balance does not cover it" in page
    assert "$26.00" in page
    assert browser.post("/tune/new", filled).status_code == 402
    assert not TuneJob.objects.exists()


def test_the_same_form_twice_is_one_training(browser: Client, filled: dict[str, str], wallet: Wallet) -> None:
    form = text_of(browser.get("/tune/new?base=provider/bard"))
    assert 'value="provider/bard"' in form
    once = re.search(r'name="once" value="([0-9a-f-]{36})"', form)
    assert once
    filled["once"] = once[1]
    first, second = (browser.post("/tune/new", filled) for _ in range(2))
    assert first.status_code == second.status_code == 302
    job = TuneJob.objects.get()
    assert first["Location"] == second["Location"] == f"/tune/{job.public_id}"
    assert (job.asked, job.sample_prompts, job.suffix) == ({"epochs": 3}, ["Who are you?", "And why?"], "verse")
    wallet.refresh_from_db()
    assert wallet.held_nano == 360_000_000


def test_a_listing_leads_to_its_training(browser: Client, base: Listing) -> None:
    assert f'href="/tune/new?base={base.name}"' in text_of(browser.get(f"/{base.name}"))
    assert base.name in text_of(browser.get("/tune/new"))


def test_a_model_from_scratch_is_quoted_by_its_shape(browser: Client, consumer: User, wallet: Wallet) -> None:
    text = make_file(
        consumer.personal_organization, content=b"To be, or not to be.\n\n" * 400, format="text", examples=400
    )
    form = {
        "training_file": text.public_id, "method": "scratch", "adaptation": "lora", "layers": "2", "width": "64", "epochs": "1",
    }  # fmt: skip
    page = text_of(browser.post("/tune/new/quote", form))
    assert (computed_in(page)["layers"], computed_in(page)["width"]) == (2, 64)
    assert browser.post("/tune/new", form).status_code == 302
    assert TuneJob.objects.get().base is None


def test_a_dropped_file_becomes_data(browser: Client, consumer: User, files: Path) -> None:
    upload = sent(consumer.personal_organization, "talk.jsonl", b'{"messages": []}\n', user=consumer)
    answer = browser.post("/tune/new/file", {"sha256": upload.sha256, "name": "talk.jsonl"}).json()
    made = DataFile.objects.get()
    assert (made.public_id, made.filename, made.status) == (answer["id"], "talk.jsonl", FileStatus.UPLOADED)
    assert made.public_id in text_of(browser.get("/tune/new"))
    assert browser.post("/tune/new/file", {"sha256": "0" * 64, "name": "x"}).status_code == 404


def test_a_job_is_watched_from_the_queue_to_its_result(browser: Client, job_of: JobMaker) -> None:
    job = job_of(suffix="verse", sample_prompts=("Who?",))
    at = f"/tune/{job.public_id}"
    page = text_of(browser.get(at))
    assert "Number 1 in the queue" in page
    assert "every 2s" in page
    TuneJob.objects.filter(pk=job.pk).update(
        status=JobStatus.RUNNING, step=5, steps=10, stage="training", trained_tokens=50_000, eta_at=timezone.now() + timedelta(hours=2),
        perplexity_before=21.5,
    )  # fmt: skip
    for step, words in ((0, "I am the base."), (2, "I am between."), (5, "<b>I am new.</b>")):
        TuneSample.objects.create(job=job, step=step, number=0, prompt="Who?", answer=words)
    TuneCheckpoint.objects.create(job=job, step=5, trained_tokens=50_000, val_loss=1.25, is_best=True)
    part = browser.get(at, headers={"HX-Request": "true"}).content.decode()
    assert "<html" not in part
    assert "<b>I am new" not in part
    live = html.unescape(part)
    for words in (
        "Step 5 of 10",
        "left",
        "$0.15",
        "21.5",
        "I am the base.",
        "After step 5",
        "I am between.",
        "1.25",
        "best",
    ):
        assert words in live, words
    assert f"{job.model_name}:ckpt-step-5" in live
    TuneJob.objects.filter(pk=job.pk).update(
        status=JobStatus.FAILED, error_code="diverged", error_message="The loss is not a number any more."
    )
    assert browser.get(at, headers={"HX-Request": "true"})["HX-Refresh"] == "true"
    failed = text_of(browser.get(at))
    assert "The loss is not a number any more." in failed
    assert "every 2s" not in failed
    assert 'data-dialog="cancel"' not in failed
    TuneJob.objects.filter(pk=job.pk).update(status=JobStatus.QUEUED, error_code="", error_message="")


def test_one_checkpoint_is_the_best(browser: Client, job_of: JobMaker) -> None:
    job = job_of()
    for step, loss in ((2, 1.5), (4, 1.1), (6, 1.3), (8, None)):
        TuneCheckpoint.objects.create(job=job, step=step, trained_tokens=step * 100, val_loss=loss, is_best=step < 6)
    page = text_of(browser.get(f"/tune/{job.public_id}"))
    rows = re.findall(r"<tr>.*?</tr>", page[page.index("checkpoints-title") :], re.DOTALL)[1:]
    assert [("best" in row) for row in rows] == [False, False, True, False]


def test_a_job_is_paused_gone_on_with_and_cancelled(browser: Client, job_of: JobMaker, wallet: Wallet) -> None:
    job = job_of()
    at = f"/tune/{job.public_id}"
    for verb, status in (("pause", "paused"), ("resume", "queued"), ("cancel", "cancelled"), ("cancel", "cancelled")):
        assert browser.post(f"{at}/{verb}").status_code == 302
        job.refresh_from_db()
        assert job.status == status
    assert browser.post(f"{at}/pause", follow=True).status_code == 200  # the page says why not
    assert browser.get(f"{at}/cancel").status_code == 405
    assert browser.post(f"{at}/explode").status_code == 404
    wallet.refresh_from_db()
    assert wallet.held_nano == 0


def test_curves_of_a_hundred_thousand_steps_fit_a_screen_and_hide_no_spike(browser: Client, job_of: JobMaker) -> None:
    job = job_of(suffix="long")
    TunePoint.objects.bulk_create(
        [
            TunePoint(job=job, step=step, loss=99.0 if step == 77_777 else 1.0, learning_rate=1e-4)
            for step in range(1, POINTS + 1)
        ],
        batch_size=10_000,
    )
    answer = browser.get(f"/tune/points?job={job.public_id}").json()
    [curve] = answer["curves"]
    assert answer["live"] is True
    assert 300 < len(curve["step"]) <= 600
    assert curve["step"][-1] == POINTS
    assert max(curve["loss_high"]) == 99.0
    assert len(curve["learning_rate"]) == len(curve["step"])
    rows = browser.get(f"/tune/{job.public_id}.csv").content.decode().splitlines()
    assert len(rows) == POINTS + 1
    assert rows[0].startswith("step,loss,val_loss")


def test_two_jobs_stand_beside_each_other_and_what_differs_comes_first(browser: Client, job_of: JobMaker) -> None:
    one, two = job_of(suffix="one"), job_of(suffix="two", hyper={"epochs": 3, "learning_rate": 0.5})
    page = text_of(browser.get(f"/tune/compare?jobs={one.public_id},{two.public_id},ftjob-nothing"))
    rows = re.findall(r'<th scope="row">(.*?)</th>', page)
    assert "differs" in next(row for row in rows if row.startswith("Learning rate"))
    assert "differs" not in next(row for row in rows if row.startswith("Epochs"))
    assert f"/tune/points?job={one.public_id}&job={two.public_id}" in page
    listed = browser.get(f"/tune/points?job={one.public_id}&job={two.public_id}").json()
    assert [curve["label"] for curve in listed["curves"]] == ["one", "two"]
    assert "Nothing to compare" in text_of(browser.get("/tune/compare?jobs=ftjob-nothing"))


def test_the_list_is_filtered(browser: Client, job_of: JobMaker) -> None:
    one, two = job_of(suffix="one"), job_of(suffix="two")
    browser.post(f"/tune/{two.public_id}/cancel")
    for query, shown in (
        ("", {one, two}), ("status=queued", {one}), ("status=cancelled", {two}), ("words=tw", {two}), ("words=train.js", {one, two}), (f"words={one.public_id}", {one}),
        (f"words={two.model_name}", {two}),
        ("base=provider/bard", {one, two}), ("base=other/model", set()), ("status=nonsense", set()),
    ):  # fmt: skip
        page = text_of(browser.get(f"/tune?{query}"))
        assert {job for job in (one, two) if f"/tune/{job.public_id}" in page} == shown, query
    assert "No training fits" in text_of(browser.get("/tune?words=nothing"))


def test_a_time_is_estimated_by_what_the_base_took_before(
    browser: Client, filled: dict[str, str], job_of: JobMaker
) -> None:
    assert "not known yet" in text_of(browser.post("/tune/new/quote", filled))
    job = job_of()
    now = timezone.now()
    TuneJob.objects.filter(pk=job.pk).update(
        status=JobStatus.SUCCEEDED, trained_tokens=60_000, started_at=now - timedelta(minutes=10), finished_at=now
    )
    assert "0:20:00" in text_of(browser.post("/tune/new/quote", filled))
    TuneJob.objects.filter(pk=job.pk).update(status=JobStatus.QUEUED, trained_tokens=0, finished_at=None)


@pytest.mark.parametrize("suffix", ["", ".csv", "/cancel", "/pause", "/resume"])
def test_anothers_job_is_a_404(stranger: User, job_of: JobMaker, suffix: str) -> None:
    job, browser = job_of(), Client()
    browser.force_login(stranger)
    address = f"/tune/{job.public_id}{suffix}"
    assert (browser.post if suffix.startswith("/") else browser.get)(address).status_code == 404
    assert browser.get(f"/tune/points?job={job.public_id}").status_code == 404
    assert job.public_id not in text_of(browser.get("/tune"))
    job.refresh_from_db()
    assert job.status == JobStatus.QUEUED


def test_anothers_file_cannot_be_chosen(browser: Client, stranger: User, filled: dict[str, str], base: Listing) -> None:
    theirs = make_file(stranger.personal_organization, content=b"{}\n" * 20)
    count(theirs, base)
    assert browser.post("/tune/new", {**filled, "training_file": theirs.public_id}).status_code == 422
    assert theirs.public_id not in text_of(browser.get("/tune/new"))


def test_a_viewer_looks_and_starts_nothing(
    client: Client, consumer: User, stranger: User, job_of: JobMaker, filled: dict[str, str], wish: WishMaker
) -> None:
    job, organization = job_of(), consumer.personal_organization
    Membership.objects.create(organization=organization, user=stranger, role=Role.VIEWER)
    client.force_login(stranger)
    client.post(f"/organizations/{organization.pk}/switch")
    assert 'data-dialog="cancel"' not in text_of(client.get(f"/tune/{job.public_id}"))
    assert "Your role cannot start trainings" in text_of(client.get("/tune/new"))
    assert client.post("/tune/new", filled).status_code == 403
    client.post(f"/tune/{job.public_id}/cancel")
    job.refresh_from_db()
    assert job.status == JobStatus.QUEUED
    assert TuneJob.objects.count() == 1
