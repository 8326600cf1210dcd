"""The playground's call: a session, a CSRF token, the visitor's own money."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from django.test import Client

from store.accounts.models import Membership, Role, User
from store.billing.actions import top_up_test
from store.catalog.models import Listing
from store.runs.models import Endpoint, Run, RunStatus
from tests.conftest import make_user
from tests.store.live import Live, db, live

__all__ = ["db", "live"]
TOKEN = "a" * 32
MESSAGES = [{"role": "user", "content": "When in disgrace with fortune"}]


@pytest.fixture(scope="module")
def visitor(live: Live) -> User:
    live.start_stub(STUB_TOKENS="6")
    user = make_user("visitor")
    top_up_test(organization=user.personal_organization, user=user, amount_nano=10**9)
    return user


def say(live: Live, user: User | None, model: str = "", *, token: str = TOKEN, **fields: Any) -> httpx.Response:
    browser = Client()
    if user:
        browser.force_login(user)
    cookies = {name: morsel.value for name, morsel in browser.cookies.items()} | {"csrftoken": TOKEN}
    cookie = "; ".join(f"{name}={value}" for name, value in cookies.items())
    body = {"messages": MESSAGES, **fields}
    headers = {"Cookie": cookie, "X-CSRFToken": token}
    return live.bare.post(f"{live.url}/playground/{model or live.model}/chat", json=body, headers=headers)


def events(response: httpx.Response) -> list[dict[str, Any]]:
    return [json.loads(line[6:]) for line in response.text.splitlines() if line.startswith("data: {")]


def test_a_visitor_chats_and_is_told_the_price_and_what_is_left(live: Live, visitor: User) -> None:
    response = say(live, visitor, max_tokens=50, temperature=0.5)
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/event-stream")
    chunks = events(response)
    run = Run.objects.latest("id")
    text = "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks if chunk["choices"])
    assert text.count(" w") == 6
    assert chunks[-1]["usage"]["completion_tokens"] == 6
    assert chunks[-1]["store"] == {"charge_nano": run.charge_nano, "available_nano": 10**9 - run.charge_nano}
    assert (run.endpoint, run.user, run.api_key, run.status) == (
        Endpoint.PLAYGROUND,
        visitor,
        None,
        RunStatus.SUCCEEDED,
    )
    assert response.text.endswith("data: [DONE]\n\n")


def test_without_a_session_it_is_a_401(live: Live, visitor: User) -> None:
    response = say(live, None)
    assert (response.status_code, response.json()["error"]["code"]) == (401, "not_signed_in")


def test_without_the_csrf_token_nothing_runs(live: Live, visitor: User) -> None:
    runs = Run.objects.count()
    assert "data:" not in say(live, visitor, token="b" * 32).text
    assert Run.objects.count() == runs


def test_a_private_listing_of_others_is_a_404(live: Live, visitor: User) -> None:
    Listing.objects.filter(pk=live.listing.pk).update(is_private=True)
    try:
        response = say(live, visitor)
    finally:
        Listing.objects.filter(pk=live.listing.pk).update(is_private=False)
    assert (response.status_code, response.json()["error"]["code"]) == (404, "model_not_found")


def test_a_role_that_may_not_spend_is_refused(live: Live, visitor: User) -> None:
    Membership.objects.filter(user=visitor).update(role=Role.VIEWER)
    try:
        response = say(live, visitor)
    finally:
        Membership.objects.filter(user=visitor).update(role=Role.OWNER)
    assert (response.status_code, response.json()["error"]["code"]) == (403, "permission_denied")


@pytest.mark.parametrize(
    ("fields", "param"), [({"temperature": -1}, "temperature"), ({"messages": []}, "messages"), ({"x": 1}, "x")]
)
def test_what_is_wrong_is_named(live: Live, visitor: User, fields: dict[str, Any], param: str) -> None:
    response = say(live, visitor, **fields)
    assert (response.status_code, response.json()["error"]["param"]) == (400, param)


def test_a_visitor_without_credit_is_a_402(live: Live, visitor: User) -> None:
    poor = User.objects.filter(email="poor@example.com").first() or make_user("poor")
    response = say(live, poor)
    assert (response.status_code, response.json()["error"]["code"]) == (402, "insufficient_credit")
