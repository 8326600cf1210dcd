"""/api/webhooks: works, needs a scope, hides what is another's, names what is wrong."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from standardwebhooks.webhooks import Webhook

from store.accounts.models import TokenScope, User
from store.accounts.tokens import issue_token
from store.webhooks.actions import IssuedEndpoint
from store.webhooks.models import WebhookEndpoint
from tests.store.webhooks.conftest import deliver_all, issued, open_receiver, receiver
from tests.store.webhooks.receiver import Receiver

__all__ = ["issued", "open_receiver", "receiver"]
pytestmark = pytest.mark.django_db
URL = "https://example.com/hooks"


def of(user: User, *scopes: str) -> Client:
    secret = issue_token(user=user, name="test", scopes=scopes or (TokenScope.WRITE,)).secret
    return Client(headers={"authorization": f"Bearer {secret}"})


def post(client: Client, path: str, **body: Any) -> Any:
    return client.post(path, body, content_type="application/json")


def test_a_webhook_lives_its_life(consumer: User, receiver: Receiver) -> None:
    api = of(consumer)
    made = post(api, "/api/webhooks", url=receiver.url, event_types=["fine_tuning.job.failed"], description="ops")
    assert made.status_code == 201
    secret, at = made.json()["secret"], f"/api/webhooks/{made.json()['id']}"
    shown = api.get(at).json()
    assert "secret" not in shown
    assert (shown["organization"], shown["event_types"], shown["is_enabled"]) == (
        "consumer", ["fine_tuning.job.failed"], True,
    )  # fmt: skip
    assert [each["id"] for each in api.get("/api/webhooks").json()["results"]] == [shown["id"]]
    changed = api.patch(at, {"event_types": []}, content_type="application/json").json()
    assert (changed["event_types"], changed["description"], changed["url"]) == ([], "ops", receiver.url)
    sent = post(api, f"{at}/test")
    assert sent.status_code == 202
    deliver_all()
    [delivery] = api.get(f"{at}/deliveries").json()["results"]
    assert (delivery["status"], delivery["response_status"], delivery["event"]["type"]) == (
        "delivered", 204, "webhook.test",
    )  # fmt: skip
    again = post(api, f"{at}/deliveries/{delivery['id']}/again")
    assert (again.status_code, again.json()["status"]) == (202, "pending")
    deliver_all()
    assert receiver.ids == [delivery["event"]["id"]] * 2
    Webhook(secret).verify(receiver.received[1].body, receiver.received[1].headers)
    assert post(api, f"{at}/rotate").json()["secret"] != secret
    assert post(api, f"{at}/disable").json()["is_enabled"] is False
    assert post(api, f"{at}/test").json()["error"]["code"] == "webhook_disabled"
    assert post(api, f"{at}/enable").json()["is_enabled"] is True
    assert api.delete(at).status_code == 204
    assert api.get(at).status_code == 404


def test_what_can_be_told_is_listed(consumer: User) -> None:
    types = of(consumer, TokenScope.READ).get("/api/webhooks/event-types").json()
    assert "fine_tuning.job.succeeded" in {each["name"] for each in types}
    assert "webhook.test" not in {each["name"] for each in types}
    assert all(each["description"] and each["example"] for each in types)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "url"),
        ({"url": "nonsense"}, "url"),
        ({"url": URL, "event_types": ["x.y"]}, "event_types"),
        ({"url": URL, "event_types": "all"}, "event_types"),
        ({"url": URL, "description": "x" * 201}, "description"),
        ({"url": URL, "organization": "stranger"}, None),
    ],
)
def test_what_is_wrong_is_named(consumer: User, stranger: User, body: dict[str, Any], param: str | None) -> None:
    answer = post(of(consumer), "/api/webhooks", **body)
    assert answer.status_code in (400, 404)
    if param:
        assert answer.json()["error"]["param"] == param
    assert not WebhookEndpoint.objects.exists()


def test_a_token_that_only_reads_changes_nothing(consumer: User, issued: IssuedEndpoint) -> None:
    api, at = of(consumer, TokenScope.READ), f"/api/webhooks/{issued.endpoint.pk}"
    assert api.get(at).status_code == 200
    for answer in (post(api, "/api/webhooks", url=URL), post(api, f"{at}/rotate"), api.delete(at)):
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "scope_missing")
    assert Client().get("/api/webhooks").json()["error"]["code"] == "not_signed_in"


@pytest.mark.parametrize(
    ("method", "suffix"),
    [
        ("get", ""),
        ("patch", ""),
        ("delete", ""),
        ("post", "/rotate"),
        ("post", "/test"),
        ("post", "/enable"),
        ("post", "/disable"),
        ("get", "/deliveries"),
        ("get", "/deliveries/1"),
        ("post", "/deliveries/1/again"),
    ],
)
def test_anothers_webhook_is_a_404(stranger: User, issued: IssuedEndpoint, method: str, suffix: str) -> None:
    api = of(stranger)
    answer = getattr(api, method)(f"/api/webhooks/{issued.endpoint.pk}{suffix}", content_type="application/json")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")
    assert api.get("/api/webhooks").json()["results"] == []
    assert api.get("/api/webhooks/x").status_code == 404
