"""``/api/files``: the same verbs, for people and their access tokens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client

from store.accounts.models import Organization, TokenScope, User
from store.accounts.tokens import issue_token
from store.catalog.models import Release
from store.tuning.actions.files import run_reading
from store.tuning.actions.tallies import run_tally
from store.tuning.models import DataFile, Tally
from tests.store.tuning.conftest import CHAT, add, base, files, lines, organization, sent

__all__ = ["add", "base", "files", "organization"]
pytestmark = pytest.mark.django_db

Add = Callable[..., DataFile]


@pytest.fixture
def browser(client: Client, consumer: User) -> Client:
    client.force_login(consumer)
    return client


def as_json(client: Client, address: str, body: Any, method: str = "post") -> Any:
    return getattr(client, method)(f"/api/{address}", body, content_type="application/json")


def test_an_upload_becomes_a_file_that_is_read_and_told_of(browser: Client, organization: Organization) -> None:
    upload = sent(organization, "a.csv", b"question,answer\na,b\n")
    body = {"upload_id": str(upload.pk), "mapping": {"prompt": "question", "completion": "answer"}}
    made = as_json(browser, "files", body)
    assert made.status_code == 201, made.content
    run_reading(DataFile.objects.get().pk)
    said = browser.get(f"/api/files/{made.json()['id']}").json()
    assert (said["status"], said["format"], said["examples"]) == ("processed", "completion", 1)
    assert said["report"]["columns"] == ["question", "answer"]
    assert [file["id"] for file in browser.get("/api/files?purpose=fine-tune").json()["results"]] == [said["id"]]
    assert browser.get("/api/files?organization=nobody").json()["results"] == []


def test_a_file_is_described_anew_and_deleted(browser: Client, add: Add) -> None:
    file = add(b"question,answer\na,b\n", "a.csv")
    address = f"files/{file.public_id}"
    wrong = as_json(browser, address, {"mapping": {"frage": "question"}}, "patch")
    assert (wrong.status_code, wrong.json()["error"]["param"]) == (400, "mapping.frage")
    said = as_json(browser, address, {"mapping": {"prompt": "question", "completion": "answer"}}, "patch").json()
    assert said["status"] == "uploaded"
    assert browser.delete(f"/api/{address}").status_code == 204
    assert browser.get(f"/api/{address}").status_code == 404


def test_tokens_are_counted_for_a_base(browser: Client, add: Add, base: Release) -> None:
    file = add(lines(CHAT, CHAT))
    address = f"files/{file.public_id}/tallies"
    asked = as_json(browser, address, {"base": base.listing.name})
    assert (asked.status_code, asked.json()["status"]) == (202, "queued"), asked.content
    run_tally(Tally.objects.get().pk)
    (counted,) = browser.get(f"/api/{address}").json()
    assert (counted["status"], counted["max_length"]) == ("done", base.context_length)
    assert counted["tokens"] > counted["trainable_tokens"] > 0
    assert as_json(browser, address, {"base": "nobody/nothing"}).json()["error"]["param"] == "base"


def test_what_is_a_strangers_is_not_there(client: Client, add: Add, stranger: User, organization: Organization) -> None:
    file, upload = add(), sent(organization, "b.jsonl", lines(CHAT))
    client.force_login(stranger)
    assert client.get("/api/files").json()["results"] == []
    assert client.get(f"/api/files/{file.public_id}").status_code == 404
    assert client.delete(f"/api/files/{file.public_id}").status_code == 404
    assert as_json(client, f"files/{file.public_id}", {}, "patch").status_code == 404
    assert as_json(client, f"files/{file.public_id}/tallies", {"base": "x/y"}).status_code == 404
    for upload_id in (upload.pk, uuid4()):
        assert as_json(client, "files", {"upload_id": str(upload_id)}).json()["error"]["param"] == "upload_id"


def test_a_token_that_only_reads_deletes_nothing(client: Client, add: Add, consumer: User) -> None:
    file = add()
    token = issue_token(user=consumer, name="x", scopes=[TokenScope.READ])
    headers = {"Authorization": f"Bearer {token.secret}"}
    assert client.get(f"/api/files/{file.public_id}", headers=headers).status_code == 200
    assert client.delete(f"/api/files/{file.public_id}", headers=headers).status_code == 403
