"""``/v1/fine_tuning`` with the official client: a job is made, followed, paused, and its result called. The worker is a fake one."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from store.accounts.models import User
from store.catalog.actions import PriceSpec, publish_folder
from store.catalog.models import Listing
from store.keys.actions import issue_key
from store.tuning.models import DataFile, JobStatus, TuneJob
from tests.conftest import make_user
from tests.store.catalog.folders import write_folder
from tests.store.live import Live
from tests.store.tuning.jobs.conftest import TRAINING_NANO, count, make_file
from tests.store.tuning.jobs.fake_worker import FakeWorker

PROMPT = [{"role": "user", "content": "Who's there?"}]


@pytest.fixture(scope="module")
def live(live: Live) -> Live:
    live.start_stub(STUB_TOKENS="3")
    return live


@pytest.fixture(scope="module")
def base(live: Live, tmp_path_factory: pytest.TempPathFactory) -> Listing:
    """A model that may be trained, of the provider that the live store has."""
    folder = write_folder(tmp_path_factory.mktemp("base") / "tiny")
    spec = PriceSpec(
        input_nano=100_000_000, output_nano=400_000_000, training_nano=TRAINING_NANO, derivatives_allowed=True
    )
    return publish_folder(
        organization=live.listing.organization, user=None, folder=folder, slug="tunable", price=spec
    ).listing


@pytest.fixture(scope="module")
def file(live: Live, base: Listing) -> DataFile:
    made = make_file(live.buyer)
    count(made, base, max_length=64)
    return made


@pytest.fixture
def client(live: Live) -> openai.OpenAI:
    return live.openai()


@pytest.fixture(autouse=True)
def no_job_is_left(live: Live) -> Any:
    """The next test begins with an empty queue."""
    yield
    from store.tuning.actions.jobs import cancel_job

    for job in TuneJob.objects.filter(status__in=["validating_files", "queued", "running", "paused"]):
        cancel_job(job=job)
    TuneJob.objects.update(lease_until=None)


def test_a_job_is_made_followed_and_its_result_called(
    client: openai.OpenAI, base: Listing, file: DataFile, live: Live
) -> None:
    made = client.fine_tuning.jobs.create(
        model=base.name, training_file=file.public_id, suffix="mine", seed=7, metadata={"team": "blue"},
        method={"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 2, "batch_size": 4}}},
        extra_body={"sample_prompts": ["To be"]},
    )  # fmt: skip
    assert (made.object, made.status, made.model, made.seed) == ("fine_tuning.job", "queued", base.name, 7)
    assert (made.hyperparameters.n_epochs, made.hyperparameters.batch_size) == (2, 4)
    assert made.method is not None
    assert made.method.type == "supervised"
    assert (made.fine_tuned_model, made.trained_tokens, made.finished_at, made.error) == (None, None, None, None)
    assert made.model_extra is not None
    assert made.model_extra["progress"]["position"] == 1
    assert made.model_extra["cost"]["held_nano"] == 240_000_000
    worker = FakeWorker.take_up()
    worker.train(5)
    worker.checkpoint()
    running = client.fine_tuning.jobs.retrieve(made.id)
    assert running.status == "running"
    assert running.estimated_finish is not None
    worker.finish()
    done = client.fine_tuning.jobs.retrieve(made.id)
    assert (done.status, done.trained_tokens) == ("succeeded", 1000)
    assert done.fine_tuned_model == f"ft:{base.name}:{live.buyer.slug}:mine:{made.id[6:14]}"
    assert len(done.result_files) == 1
    name = done.fine_tuned_model
    answer = client.chat.completions.create(model=name, messages=PROMPT)  # type: ignore[arg-type]
    assert answer.model == name
    assert answer.choices[0].message.content
    assert client.models.retrieve(name).id == name
    job = TuneJob.objects.full().get(public_id=made.id)
    assert job.result_listing is not None
    assert client.chat.completions.create(model=job.result_listing.name, messages=PROMPT).choices  # type: ignore[arg-type]
    checkpoint = client.fine_tuning.jobs.checkpoints.list(made.id).data[0]
    assert (checkpoint.step_number, checkpoint.fine_tuned_model_checkpoint) == (5, f"{name}:ckpt-step-5")
    assert checkpoint.metrics.train_loss == 0.6
    early = client.chat.completions.create(model=checkpoint.fine_tuned_model_checkpoint, messages=PROMPT)  # type: ignore[arg-type]
    assert early.choices[0].message.content
    run = live.last_run()
    assert run.release == job.checkpoints.get().release


def test_a_checkpoint_of_a_job_that_was_cancelled_is_called(
    client: openai.OpenAI, base: Listing, file: DataFile, live: Live
) -> None:
    made = client.fine_tuning.jobs.create(model=base.name, training_file=file.public_id)
    worker = FakeWorker.take_up()
    worker.train(4)
    worker.checkpoint()
    assert client.fine_tuning.jobs.cancel(made.id).status == "cancelled"
    worker.say("stopped")
    name = f"{worker.job.model_name}:ckpt-step-4"
    assert client.chat.completions.create(model=name, messages=PROMPT).choices  # type: ignore[arg-type]
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.create(model=worker.job.model_name, messages=PROMPT)  # type: ignore[arg-type]
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.create(model=f"{worker.job.model_name}:ckpt-step-5", messages=PROMPT)  # type: ignore[arg-type]


def test_pausing_and_resuming(client: openai.OpenAI, base: Listing, file: DataFile) -> None:
    made = client.fine_tuning.jobs.create(model=base.name, training_file=file.public_id)
    assert client.fine_tuning.jobs.pause(made.id).status == "paused"
    assert client.fine_tuning.jobs.resume(made.id).status == "queued"
    client.fine_tuning.jobs.cancel(made.id)
    with pytest.raises(openai.ConflictError):
        client.fine_tuning.jobs.resume(made.id)


def test_lists_are_paged_and_filtered(client: openai.OpenAI, base: Listing, file: DataFile) -> None:
    ids = []
    for number in range(3):
        made = client.fine_tuning.jobs.create(
            model=base.name, training_file=file.public_id, metadata={"page": "yes", "n": str(number)}
        )
        ids.append(made.id)
        client.fine_tuning.jobs.cancel(made.id)
    page = client.fine_tuning.jobs.list(limit=2, metadata={"page": "yes"})
    assert [job.id for job in page.data] == ids[:0:-1]
    assert page.has_more
    assert [job.id for job in page.get_next_page().data] == ids[:1]
    assert [job.id for job in client.fine_tuning.jobs.list(metadata={"page": "yes", "n": "1"})] == [ids[1]]
    events = client.fine_tuning.jobs.list_events(ids[0], limit=1)
    assert events.has_more
    assert events.data[0].message.startswith("The job was cancelled")
    assert len(list(events)) == 3
    with pytest.raises(openai.BadRequestError) as refused:
        client.fine_tuning.jobs.list(after="ftjob-nobody")
    assert refused.value.param == "after"


def test_events_are_streamed_until_the_job_ends(
    live: Live, client: openai.OpenAI, base: Listing, file: DataFile
) -> None:
    made = client.fine_tuning.jobs.create(model=base.name, training_file=file.public_id)
    heard: list[dict[str, Any]] = []
    begun = threading.Event()

    def listen() -> None:
        with live.http.stream("GET", f"/v1/fine_tuning/jobs/{made.id}/events?stream=true") as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            for line in answer.iter_lines():
                if line.startswith("data: {"):
                    heard.append(json.loads(line.removeprefix("data: ")))
                    begun.set()
                elif line == "data: [DONE]":
                    return

    thread = threading.Thread(target=listen)
    thread.start()
    assert begun.wait(60)
    worker = FakeWorker.take_up()
    worker.train(2)
    client.fine_tuning.jobs.cancel(made.id)
    thread.join(60)
    assert not thread.is_alive()
    assert heard[0]["message"] == "The job was created."
    assert [event["data"]["step"] for event in heard if event["type"] == "metrics"] == [1, 2]
    assert heard[-1]["message"].startswith("The job was cancelled: 200 tokens")
    rest = live.http.get(f"/v1/fine_tuning/jobs/{made.id}/events", params={"stream": "true", "after": heard[-2]["id"]})
    assert rest.text.count("data: {") == 1


def test_the_same_request_again_is_the_same_job(client: openai.OpenAI, base: Listing, file: DataFile) -> None:
    once = {"Idempotency-Key": "once-only"}
    jobs = {
        client.fine_tuning.jobs.create(model=base.name, training_file=file.public_id, extra_headers=once).id
        for _time in range(3)
    }
    assert len(jobs) == 1
    with pytest.raises(openai.UnprocessableEntityError):
        client.fine_tuning.jobs.create(model=base.name, training_file=file.public_id, seed=1, extra_headers=once)


def test_another_organizations_job_is_not_there(
    client: openai.OpenAI, live: Live, base: Listing, file: DataFile
) -> None:
    made = client.fine_tuning.jobs.create(model=base.name, training_file=file.public_id)
    other = User.objects.filter(email="other@example.com").first() or make_user("other")
    key = issue_key(organization=other.personal_organization, user=other, name="k", listings=[base])
    stranger = openai.OpenAI(base_url=f"{live.url}/v1", api_key=key.secret, max_retries=0, http_client=live.bare)
    for call in (
        lambda: stranger.fine_tuning.jobs.retrieve(made.id),
        lambda: stranger.fine_tuning.jobs.cancel(made.id),
        lambda: stranger.fine_tuning.jobs.list_events(made.id),
        lambda: stranger.fine_tuning.jobs.checkpoints.list(made.id),
    ):
        with pytest.raises(openai.NotFoundError):
            call()
    assert stranger.fine_tuning.jobs.list().data == []
    with pytest.raises(openai.BadRequestError) as refused:
        stranger.fine_tuning.jobs.create(model=base.name, training_file=file.public_id)
    assert refused.value.param == "training_file"
    assert TuneJob.objects.get(public_id=made.id).status == JobStatus.QUEUED


@pytest.mark.parametrize(
    ("asked", "status", "param"),
    [
        ({"integrations": [{"type": "wandb", "wandb": {"project": "x"}}]}, 400, "integrations"),
        ({"method": {"type": "reinforcement"}}, 400, "method.type"),
        ({"method": {"type": "dpo", "supervised": {}}}, 400, "method.supervised"),
        ({"method": {"type": "dpo"}}, 400, "training_file"),
        ({"hyperparameters": {"n_epochs": 0}}, 400, "n_epochs"),
        ({"hyperparameters": {"speed": 1}}, 400, "speed"),
        ({"suffix": "a b"}, 400, "suffix"),
        ({"colour": "red"}, 400, "colour"),
        ({"model": "nobody/nothing"}, 404, "model"),
        ({"model": "scratch", "method": {"type": "supervised"}}, 400, "model"),
        ({"training_file": "file-nobody"}, 400, "training_file"),
        ({"training_file": None}, 400, "training_file"),
        ({"adaptation": "full"}, 400, "adaptation"),
        ({"hyperparameters": {"n_epochs": 100}, "seed": -1}, 400, "seed"),
    ],
)
def test_what_is_not_honoured_is_refused_by_name(
    live: Live, base: Listing, file: DataFile, asked: dict[str, Any], status: int, param: str
) -> None:
    body = {"model": base.name, "training_file": file.public_id} | asked
    answer = live.http.post("/v1/fine_tuning/jobs", json=body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (status, param), answer.text


def test_a_body_that_is_none_and_a_path_that_is_none(live: Live) -> None:
    assert live.http.post("/v1/fine_tuning/jobs", content=b"{").json()["error"]["code"] == "invalid_json"
    assert live.http.get("/v1/fine_tuning/jobs/%00").status_code == 404
    assert live.http.delete("/v1/fine_tuning/jobs").status_code == 405
    assert httpx.get(f"{live.url}/v1/fine_tuning/jobs").status_code == 401


def test_what_a_worker_asks_for_is_opened_by_its_attempt_alone(
    live: Live, client: openai.OpenAI, base: Listing, file: DataFile, tmp_path: Path
) -> None:
    from store.tuning.tokens import attempt_token

    client.fine_tuning.jobs.create(model=base.name, training_file=file.public_id)
    worker = FakeWorker.take_up()
    token = {"Authorization": f"Bearer {attempt_token(worker.job)}"}
    data = f"{live.url}/tuning/data/{file.public_id}"
    assert httpx.get(data, headers=token).content.startswith(b'{"messages"')
    assert httpx.get(f"{live.url}/tuning/data/file-other", headers=token).status_code == 404
    assert httpx.get(f"{live.url}/tuning/content/{'0' * 64}", headers=token).status_code == 404
    for bad in ({}, {"Authorization": f"Bearer {live.secret}"}, {"Authorization": "Bearer 1-1:x"}):
        assert httpx.get(data, headers=bad).status_code == 401
    client.fine_tuning.jobs.cancel(worker.job.public_id)
    worker.say("stopped")
    assert httpx.get(data, headers=token).status_code == 401
