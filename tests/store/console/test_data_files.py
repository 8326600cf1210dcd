"""Pages of training data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from store.accounts.models import Membership, Organization, Role, User
from store.catalog.models import Price, Release
from store.tuning.actions.files import add_file, run_reading
from store.tuning.actions.tallies import run_tally, tally_file
from store.tuning.models import DataFile, FilePurpose, FileStatus, Tally
from store.uploads.actions import begin_upload
from store.uploads.models import Purpose
from tests.store.tuning.conftest import ANSWER, CHAT, USER, add, base, files, lines, organization, sent

__all__ = ["add", "base", "files", "organization"]
pytestmark = pytest.mark.django_db

Add = Callable[..., DataFile]


def page(browser: Client, file: DataFile, part: str = "") -> str:
    answer = browser.get(f"/data/{file.public_id}{part}")
    assert answer.status_code == 200, answer.content
    return answer.content.decode()


def as_json(browser: Client, address: str, body: Any) -> Any:
    return browser.post(address, body, content_type="application/json")


def test_the_list_shows_each_file_and_where_to_drop_more(browser: Client, add: Add) -> None:
    add(lines(CHAT, CHAT), "plays.jsonl")
    shown = browser.get("/data").content.decode()
    assert "plays.jsonl" in shown
    assert "Dialogues" in shown
    assert "Drop your data here" in shown


def test_an_empty_list_says_what_to_do(browser: Client) -> None:
    assert "No data yet" in browser.get("/data").content.decode()


def test_a_long_list_comes_in_pages(browser: Client, organization: Organization) -> None:
    upload = sent(organization, "a.jsonl", lines(CHAT))
    for _ in range(51):
        add_file(upload=upload, user=None)
    first = browser.get("/data").content.decode()
    assert first.count("a.jsonl") == 50
    oldest = DataFile.objects.order_by("pk")[1].pk
    assert f"before={oldest}" in first
    assert browser.get(f"/data?before={oldest}").content.decode().count("a.jsonl") == 1


def test_what_is_wrong_with_a_file_is_shown_line_by_line(browser: Client, add: Add) -> None:
    shown = page(browser, add(lines(CHAT, {"messages": [USER]}, CHAT)))
    assert "This file cannot be used as it is." in shown
    assert "no_answer" in shown
    assert "The last message is the assistant" in shown
    assert "Train on it" not in shown


def test_records_are_shown_as_text_and_nothing_else(browser: Client, add: Add) -> None:
    evil = {"messages": [USER | {"content": "<script>alert(1)</script>"}, ANSWER | {"content": "{{ secret }}"}]}
    shown = page(browser, add(lines(evil)))
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in shown
    assert "<script>alert(1)" not in shown
    assert "{{ secret }}" in shown


def test_a_file_that_is_read_asks_again_and_loads_the_page_anew_at_the_end(
    browser: Client, organization: Organization
) -> None:
    file = add_file(upload=sent(organization, "a.jsonl", lines(CHAT)), user=None)
    assert 'hx-trigger="every 1s"' in page(browser, file)
    assert "It waits to be read" in page(browser, file, "/report")
    run_reading(file.pk)
    answer = browser.get(f"/data/{file.public_id}/report")
    assert answer["HX-Refresh"] == "true"
    assert "hx-trigger" not in page(browser, file)


def test_a_csv_is_described_by_its_form(browser: Client, add: Add) -> None:
    file = add(b"question,answer\na,b\n", "a.csv")
    assert "Which column holds what" in page(browser, file)
    said = {"format": "completion", "of_prompt": "question", "of_completion": "answer"}
    answer = browser.post(f"/data/{file.public_id}/describe", said)
    assert answer.status_code == 302, answer.content
    run_reading(file.pk)
    file.refresh_from_db()
    assert (file.status, file.mapping) == (FileStatus.PROCESSED, {"prompt": "question", "completion": "answer"})
    wrong = browser.post(f"/data/{file.public_id}/describe", {"of_prompt": "no such column"})
    assert wrong.status_code == 422


def test_tokens_are_counted_and_priced_for_a_base(browser: Client, add: Add, base: Release) -> None:
    Price.objects.create(
        listing=base.listing, input_nano=1, cached_input_nano=0, output_nano=1, training_nano=1_000_000_000_000
    )
    file = add(lines(CHAT, CHAT))
    answer = browser.post(f"/data/{file.public_id}/count", {"base": base.listing.name, "max_length": "64"})
    assert answer.status_code == 302, answer.content
    assert 'hx-trigger="every 1s"' in page(browser, file, "/tallies")
    run_tally(Tally.objects.get().pk)
    tally = Tally.objects.get()
    shown = page(browser, file, "/tallies")
    assert "hx-trigger" not in shown
    assert f"<dd>{tally.tokens}</dd>" in shown
    assert "One epoch costs" in shown
    wrong = browser.post(f"/data/{file.public_id}/count", {"base": "nobody/nothing"})
    assert wrong.status_code == 422
    assert "There is no such model." in wrong.content.decode()


def test_what_has_arrived_is_looked_at_and_added(browser: Client, organization: Organization, consumer: User) -> None:
    waiting = begin_upload(
        organization=organization, user=consumer, path="b.jsonl", size=9, sha256="a" * 64, purpose=Purpose.DATA
    )
    named = [{"path": "b.jsonl", "size": 9}, {"path": "x/y.jsonl", "size": 5}, {"path": "empty.jsonl", "size": 0}]
    looked = as_json(browser, "/data/look", {"files": named}).json()["files"]
    assert waiting.pk.hex in looked[0]["unfinished"]["url"]
    assert [bool(each["problem"]) for each in looked] == [False, True, True]
    upload = sent(organization, "a.jsonl", lines(CHAT), consumer)
    added = as_json(browser, "/data/add", {"files": [{"path": "a.jsonl", "sha256": upload.sha256}]})
    assert added.status_code == 201
    assert added.json()["url"] == reverse("console:data-file", args=[DataFile.objects.get().public_id])
    assert as_json(browser, "/data/add", {"files": [{"path": "z.jsonl", "sha256": upload.sha256}]}).status_code == 404
    assert as_json(browser, "/data/add", {"files": []}).status_code == 400


def test_a_deleted_file_leaves_the_list(browser: Client, add: Add) -> None:
    file = add()
    answer = browser.post(f"/data/{file.public_id}/delete", follow=True)
    assert "data.jsonl is deleted." in answer.content.decode()
    assert browser.get(f"/data/{file.public_id}").status_code == 404


def test_the_content_is_a_download(consumer: User, add: Add) -> None:
    file = add(lines(CHAT))
    browser = Client()
    browser.force_login(consumer)
    answer = browser.get(f"/data/{file.public_id}/content")
    body = b"".join(answer)
    assert body == lines(CHAT)
    assert answer["Content-Disposition"].startswith("attachment")


def test_results_are_shown_without_a_report(browser: Client, add: Add) -> None:
    DataFile.objects.filter(pk=add().pk).update(filename="metrics.csv", purpose=FilePurpose.RESULTS)
    file = DataFile.objects.get()
    shown = page(browser, file)
    assert "metrics.csv" in shown
    assert "Which column" not in shown


@pytest.mark.parametrize("part", ["", "/report", "/tallies", "/content"])
def test_a_strangers_file_is_not_there(client: Client, stranger: User, add: Add, part: str) -> None:
    file = add()
    client.force_login(stranger)
    assert client.get(f"/data/{file.public_id}{part}").status_code == 404
    for verb in ("describe", "count", "delete"):
        assert client.post(f"/data/{file.public_id}/{verb}").status_code == 404


def test_a_member_who_only_looks_changes_nothing(
    client: Client, stranger: User, add: Add, organization: Organization, base: Release
) -> None:
    Membership.objects.create(organization=organization, user=stranger, role=Role.BILLING)
    file = add()
    client.force_login(stranger)
    shown = client.get(f"/data/{file.public_id}").content.decode()
    assert "data-dialog" not in shown
    assert client.post(f"/data/{file.public_id}/delete").status_code == 403
    assert client.post(f"/data/{file.public_id}/describe", {"format": "text"}).status_code == 422
    assert tally_file(file=file, release=base, max_length=64)


def test_a_visitor_signs_in_first(client: Client) -> None:
    assert client.get("/data").status_code == 302
