"""Who may begin an upload, and how one goes on with it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from store.accounts.models import AccessToken, Membership, Organization, Role, TokenScope, User
from store.accounts.tokens import issue_token, revoke_token
from store.uploads.actions import begin_upload, store_bytes
from store.uploads.links import is_link, read_link, upload_path
from store.uploads.models import Upload
from tests.store.uploads.tus_client import TUS, metadata

FILE = metadata(organization="provider", filename="model.safetensors")


@pytest.fixture
def organization(provider: User) -> Organization:
    return provider.personal_organization


def create(client: Client, said: str = FILE, length: str = "10", **headers: str) -> Any:
    own = {**TUS, "Upload-Length": length, "Upload-Metadata": said}
    return client.generic("POST", "/uploads", headers={**own, **headers})


def test_a_session_begins_an_upload_with_its_csrf_token(provider: User) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(provider)
    assert create(browser).status_code == 403
    browser.cookies["csrftoken"] = "x" * 32
    made = create(browser, **{"X-CSRFToken": "x" * 32})
    assert made.status_code == 201, made.content
    link = read_link(made["Location"])
    assert link
    assert Upload.objects.get(pk=link.upload_id).user == provider


def test_a_token_begins_an_upload_where_it_may_write(client: Client, provider: User) -> None:
    writer = issue_token(user=provider, name="w", scopes=[TokenScope.WRITE])
    reader = issue_token(user=provider, name="r", scopes=[TokenScope.READ])
    assert create(client, Authorization=f"Bearer {writer.secret}").status_code == 201
    assert create(client, Authorization=f"Bearer {reader.secret}").status_code == 403
    revoke_token(token=AccessToken.objects.get(pk=writer.token.pk))
    assert create(client, Authorization=f"Bearer {writer.secret}").status_code == 401
    assert create(client).status_code in (401, 403)


def test_a_stranger_finds_no_organization(client: Client, provider: User, stranger: User) -> None:
    client.force_login(stranger)
    assert create(client).status_code == 404
    assert client.get("/uploads/mine?organization=provider").status_code == 404
    asked = json.dumps({"organization": "provider", "sha256": []})
    assert client.post("/uploads/known", asked, content_type="application/json").status_code == 404
    assert not Upload.objects.exists()


def test_a_member_who_does_not_publish_gets_no_link(client: Client, organization: Organization, consumer: User) -> None:
    Membership.objects.create(organization=organization, user=consumer, role=Role.VIEWER)
    begin_upload(organization=organization, user=None, path="model.safetensors", size=10)
    client.force_login(consumer)
    assert create(client).status_code == 403
    assert client.get("/uploads/mine?organization=provider").status_code == 403


@pytest.mark.parametrize(
    ("said", "length", "headers", "status", "code"),
    [
        (FILE, "10", {"Tus-Resumable": "2"}, 412, "wrong_tus_version"),
        (FILE, "", {}, 400, "bad_header"),
        (FILE, "-1", {}, 400, "bad_header"),
        (FILE, "1e3", {}, 400, "bad_header"),
        (FILE, "9" * 18, {}, 413, "file_too_large"),
        ("", "10", {}, 400, "bad_header"),
        ("organization ???", "10", {}, 400, "bad_header"),
        (metadata(organization="provider"), "10", {}, 400, "bad_header"),
        (metadata(organization="provider", filename="x", purpose="mischief"), "10", {}, 400, "bad_header"),
        (metadata(organization="provider", filename="../x"), "10", {}, 422, "file_refused"),
        (metadata(organization="provider", filename="x.pth"), "10", {}, 422, "file_refused"),
        (FILE + "," + metadata(sha256="x"), "10", {}, 400, "invalid_request"),
    ],
)
def test_what_is_wrong_is_said(
    client: Client, provider: User, said: str, length: str, headers: dict[str, str], status: int, code: str
) -> None:
    client.force_login(provider)
    answer = create(client, said, length, **headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert not Upload.objects.exists()


def test_a_name_may_be_in_any_script(client: Client, provider: User) -> None:
    """Unknown keys are no error either: clients send what they like."""
    client.force_login(provider)
    said = metadata(organization="provider", filename="README.md", filetype="text/плюс")
    assert create(client, said).status_code == 201


def test_unfinished_uploads_are_listed_with_their_links(
    client: Client, organization: Organization, provider: User
) -> None:
    begun = begin_upload(organization=organization, user=provider, path="model.safetensors", size=10)
    store_bytes(organization=organization, user=None, path="README.md", data=b"done")
    client.force_login(provider)
    [listed] = client.get("/uploads/mine?organization=provider").json()["uploads"]
    assert (listed["path"], listed["size"], listed["offset"]) == ("model.safetensors", 10, 0)
    assert listed["url"] == upload_path(begun)


def test_what_is_known_need_not_be_sent(client: Client, organization: Organization, provider: User) -> None:
    blob = store_bytes(organization=organization, user=None, path="README.md", data=b"here")
    client.force_login(provider)

    def ask(sha256: object) -> Any:
        body = json.dumps({"organization": "provider", "sha256": sha256})
        return client.post("/uploads/known", body, content_type="application/json")

    assert ask([blob.sha256, "0" * 64, "nonsense"]).json() == {"known": [blob.sha256]}
    for wrong in (None, "x", [1], ["0" * 64] * 1001):
        assert ask(wrong).status_code == 400


def test_pages_of_uploads_are_no_links() -> None:
    for name in ("uploads", "uploads-mine", "uploads-known"):
        assert not is_link(reverse(name))
