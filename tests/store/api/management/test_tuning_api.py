"""``/api/tuning``: the same verbs, for people and their access tokens."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from store.accounts.models import TokenScope, User
from store.accounts.tokens import issue_token
from store.catalog.models import Listing
from store.ledger.models import Wallet
from store.tuning.models import DataFile, TuneJob
from tests.store.tuning.jobs.conftest import JobMaker, base, file, job_of, real_base, wish
from tests.store.tuning.jobs.fake_worker import FakeWorker

__all__ = ["base", "file", "job_of", "real_base", "wish"]
pytestmark = pytest.mark.django_db


@pytest.fixture
def asked(consumer: User, base: Listing, file: DataFile, wallet: Wallet) -> dict[str, Any]:
    return {
        "organization": consumer.personal_organization.slug, "base": base.name, "training_file": file.public_id, "hyper": {"epochs": 3},
    }  # fmt: skip


def as_json(client: Client, address: str, body: Any = None) -> Any:
    return client.post(f"/api/tuning/{address}", body, content_type="application/json")


def test_a_quote_holds_nothing(client: Client, consumer: User, asked: dict[str, Any], wallet: Wallet) -> None:
    client.force_login(consumer)
    answer = as_json(client, "quote", asked)
    assert answer.status_code == 200, answer.content
    said = answer.json()
    assert (said["is_counted"], said["tokens"], said["amount_nano"]) == (True, 120_000, 360_000_000)
    assert said["hyper"]["epochs"] == 3
    wallet.refresh_from_db()
    assert wallet.held_nano == 0


def test_a_job_is_made_looked_at_paused_and_cancelled(client: Client, consumer: User, asked: dict[str, Any]) -> None:
    client.force_login(consumer)
    made = as_json(client, "jobs", asked)
    assert made.status_code == 201, made.content
    said = made.json()
    assert (said["status"], said["position"], said["held_nano"]) == ("queued", 1, 360_000_000)
    assert client.get(f"/api/tuning/jobs/{said['id']}").json()["model_name"] == said["model_name"]
    for verb, status in (("pause", "paused"), ("resume", "queued"), ("cancel", "cancelled")):
        assert as_json(client, f"jobs/{said['id']}/{verb}").json()["status"] == status
    assert as_json(client, f"jobs/{said['id']}/pause").status_code == 409
    assert [job["id"] for job in client.get("/api/tuning/jobs?status=cancelled").json()["results"]] == [said["id"]]
    assert client.get("/api/tuning/jobs?status=running").json()["results"] == []
    assert client.get("/api/tuning/jobs?base=provider/other").json()["results"] == []


def test_what_happens_is_read_in_parts(client: Client, consumer: User, job_of: JobMaker) -> None:
    job = job_of(sample_prompts=("To be",))
    worker = FakeWorker.take_up()
    worker.train(5)
    worker.checkpoint()
    client.force_login(consumer)
    at = f"/api/tuning/jobs/{job.public_id}"
    assert [point["step"] for point in client.get(f"{at}/points").json()] == [1, 2, 3, 4, 5]
    assert len(client.get(f"{at}/points?most=2").json()) <= 3
    assert client.get(f"{at}/points?most=0").status_code == 400
    assert client.get(f"{at}/events?limit=1").json()["results"][0]["message"] == "Checkpoint at step 5."
    assert client.get(f"{at}/checkpoints").json()["results"][0]["step"] == 5
    assert client.get(f"{at}/samples").json() == []


def test_strangers_see_nothing(client: Client, stranger: User, asked: dict[str, Any], job_of: JobMaker) -> None:
    job = job_of()
    client.force_login(stranger)
    for part in ("", "/events", "/points", "/samples", "/checkpoints"):
        assert client.get(f"/api/tuning/jobs/{job.public_id}{part}").status_code == 404
    for verb in ("cancel", "pause", "resume"):
        assert as_json(client, f"jobs/{job.public_id}/{verb}").status_code == 404
    assert client.get("/api/tuning/jobs").json()["results"] == []
    assert as_json(client, "jobs", asked).status_code == 404
    own = {**asked, "organization": stranger.personal_organization.slug}
    answer = as_json(client, "jobs", own)
    assert (answer.status_code, answer.json()["error"]["param"]) == (404, "training_file")


@pytest.mark.parametrize(
    ("change", "status", "param"),
    [
        ({"base": "provider/nothing"}, 404, "base"),
        ({"method": "guess"}, 400, "method"),
        ({"hyper": {"epochs": -1}}, 400, "epochs"),
        ({"hyper": "fast"}, 400, "hyper"),
        ({"training_file": "file-none"}, 404, "training_file"),
        ({"hyper": {"epochs": 100}}, 402, None),
    ],
)
def test_what_is_wrong_is_named(
    client: Client, consumer: User, asked: dict[str, Any], change: dict[str, Any], status: int, param: str | None
) -> None:
    client.force_login(consumer)
    answer = as_json(client, "jobs", asked | change)
    assert (answer.status_code, answer.json()["error"]["param"]) == (status, param)
    assert not TuneJob.objects.exists()


def test_a_token_that_may_not_spend_makes_no_job(client: Client, consumer: User, asked: dict[str, Any]) -> None:
    for scope, status in ((TokenScope.WRITE, 403), (TokenScope.KEYS, 201)):
        secret = issue_token(user=consumer, name="t", scopes=[scope]).secret
        answer = client.post(
            "/api/tuning/jobs", asked, content_type="application/json", headers={"authorization": f"Bearer {secret}"}
        )
        assert answer.status_code == status, answer.content
