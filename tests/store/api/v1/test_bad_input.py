"""What is refused: the right status, the field by name, no row in the books, nothing secret in the log."""

from __future__ import annotations

import json
from typing import Any

import pytest

from store.keys.actions import issue_key
from store.ledger.models import Hold
from store.runs.models import Run
from tests.conftest import make_listing
from tests.store.live import Live

SECRET_WORDS = "the marmalade is in the attic"
CHAT = {"messages": [{"role": "user", "content": SECRET_WORDS}]}
RAW_BAD = ["NaN", "Infinity", "-Infinity", "-1", "9223372036854775808", '"1"', "true", "1e999", "[]", "{}"]


@pytest.fixture(scope="module")
def live(live: Live) -> Live:
    live.start_stub()
    return live


@pytest.fixture(autouse=True)
def _books_stay_as_they_are(live: Live) -> Any:
    before = (Run.objects.count(), Hold.objects.count(), live.wallet().posted_nano)
    yield
    assert (Run.objects.count(), Hold.objects.count(), live.wallet().posted_nano) == before
    assert SECRET_WORDS not in live.logged()
    assert live.secret not in live.logged()


def post(live: Live, path: str, content: bytes | str, **headers: str) -> tuple[int, dict[str, Any]]:
    response = live.http.post(path, content=content, headers={"content-type": "application/json", **headers})
    assert response.headers["x-request-id"]
    error = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    return response.status_code, error


@pytest.mark.parametrize("value", RAW_BAD)
@pytest.mark.parametrize("param", ["max_tokens", "n", "temperature", "top_p", "top_k", "max_completion_tokens"])
def test_nonsense_for_a_number_is_a_400_that_names_it(live: Live, param: str, value: str) -> None:
    body = json.dumps({"model": live.model, **CHAT})[:-1] + f', "{param}": {value}}}'
    status, error = post(live, "/v1/chat/completions", body)
    assert (status, error["param"]) == (400, param)
    assert error["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"tools": [{"type": "function"}]}, "tools"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"presence_penalty": 0.5}, "presence_penalty"),
        ({"frequency_penalty": -1}, "frequency_penalty"),
        ({"logit_bias": {"5": 10}}, "logit_bias"),
        ({"audio": {"voice": "alloy"}}, "audio"),
        ({"modalities": ["audio"]}, "modalities"),
        ({"store": True}, "store"),
        ({"service_tier": "flex"}, "service_tier"),
        ({"reasoning_effort": "high"}, "reasoning_effort"),
        ({"n": 2}, "n"),
        ({"top_logprobs": 2}, "top_logprobs"),
        ({"logprobs": True, "top_logprobs": 21}, "top_logprobs"),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
        ({"stop": ["a"] * 5}, "stop"),
        ({"stop": [""]}, "stop[0]"),
        ({"seed": 2**63}, "seed"),
        ({"max_tokens": 1025}, "max_tokens"),
        ({"max_tokens": 1, "max_completion_tokens": 1}, "max_tokens"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": "x", "name": "eve"}]}, "messages[0].name"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "messages[0].content[0].type"),
        ({"frobnicate": 1}, "frobnicate"),
        ({"model": None}, "model"),
        ({"echo": True}, "echo"),
    ],
)
def test_a_field_that_is_not_served_is_a_400_that_names_it(live: Live, fields: dict[str, Any], param: str) -> None:
    status, error = post(live, "/v1/chat/completions", json.dumps({"model": live.model, **CHAT, **fields}))
    assert (status, error["param"]) == (400, param)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"best_of": 2}, "best_of"),
        ({"echo": True}, "echo"),
        ({"suffix": "x"}, "suffix"),
        ({"logprobs": 6}, "logprobs"),
        ({"prompt": ["a", "b"]}, "prompt"),
        ({"prompt": [1, -1]}, "prompt[1]"),
        ({"prompt": [100_000]}, "prompt"),
        ({"prompt": []}, "prompt"),
        ({"prompt": 5}, "prompt"),
        ({"messages": []}, "messages"),
    ],
)
def test_a_completion_refuses_by_name_too(live: Live, fields: dict[str, Any], param: str) -> None:
    status, error = post(live, "/v1/completions", json.dumps({"model": live.model, "prompt": SECRET_WORDS, **fields}))
    assert (status, error["param"]) == (400, param)


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b'{"model": "\xff\xfe"}', b'{"model": "\\ud800"}', b"[" * 100_000, b"\x00" * 50]
)
def test_a_body_that_is_no_request_is_a_400(live: Live, body: bytes) -> None:
    assert post(live, "/v1/chat/completions", body)[0] == 400


def test_a_missing_model_is_named(live: Live) -> None:
    status, error = post(live, "/v1/chat/completions", json.dumps(CHAT))
    assert (status, error["param"], error["code"]) == (400, "model", "missing_required_parameter")


def test_a_body_of_10_mb_is_a_413(live: Live) -> None:
    body = json.dumps({"model": live.model, "messages": [{"role": "user", "content": "x" * 10_000_000}]})
    assert post(live, "/v1/chat/completions", body)[0] == 413


def test_a_prompt_of_5_mb_is_a_400(live: Live) -> None:
    body = json.dumps({"model": live.model, "messages": [{"role": "user", "content": "x" * 5_000_000}]})
    status, error = post(live, "/v1/chat/completions", body)
    assert (status, error["param"]) == (400, "messages")


def test_an_endless_key_is_a_401(live: Live) -> None:
    status, error = post(
        live,
        "/v1/chat/completions",
        json.dumps({"model": live.model, **CHAT}),
        Authorization="Bearer " + "x" * 1_000_000,
    )
    assert (status, error["code"]) == (401, "invalid_api_key")


@pytest.mark.parametrize("header", ["", "Bearer", "Basic abc", "Bearer gst_x", "Bearer \xe4\xf6"])
def test_a_header_that_is_no_key_is_a_401(live: Live, header: str) -> None:
    response = live.http.post(
        "/v1/chat/completions",
        json={"model": live.model, **CHAT},
        headers={"Authorization": header.encode("latin1")},  # type: ignore[dict-item]
    )
    assert (response.status_code, response.json()["error"]["code"]) == (401, "invalid_api_key")


@pytest.mark.parametrize("model", ["nobody/nothing", "stub", "", "a/b/c", "x" * 5000, "seller/stub\x00", "Seller/Stub"])
def test_an_unknown_model_is_a_404(live: Live, model: str) -> None:
    status, error = post(live, "/v1/chat/completions", json.dumps({"model": model, **CHAT}))
    assert (status, error["code"], error["param"]) == (404, "model_not_found", "model")


def test_a_model_that_the_key_does_not_open_is_a_404(live: Live) -> None:
    other = make_listing(live.listing.organization, "other")
    status, error = post(live, "/v1/chat/completions", json.dumps({"model": other.name, **CHAT}))
    assert (status, error["code"]) == (404, "model_not_found")


def test_an_empty_wallet_is_a_402(live: Live) -> None:
    seller = live.listing.organization
    user = seller.personal_of
    assert user
    poor = issue_key(organization=seller, user=user, name="poor", listings=[live.listing])
    status, error = post(
        live, "/v1/chat/completions", json.dumps({"model": live.model, **CHAT}), Authorization=f"Bearer {poor.secret}"
    )
    assert (status, error["type"], error["code"]) == (402, "insufficient_quota", "insufficient_credit")


def test_a_spent_rate_is_a_429_with_retry_after(live: Live) -> None:
    user = live.buyer.personal_of
    assert user
    slow = issue_key(organization=live.buyer, user=user, name="slow", listings=[live.listing], tokens_per_minute=10)
    response = live.http.post(
        "/v1/completions",
        json={"model": live.model, "prompt": [1, 2, 3], "max_tokens": 1000},
        headers={"Authorization": f"Bearer {slow.secret}"},
    )
    assert (response.status_code, response.json()["error"]["type"]) == (429, "rate_limit_error")


def test_other_paths_and_methods_are_told_apart(live: Live) -> None:
    unknown = live.http.post("/v1/images/generations")
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "unknown_url")
    wrong = live.http.get("/v1/chat/completions")
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize("key", ["", "x" * 256, "a\tb"])
def test_an_idempotency_key_that_is_none_is_a_400(live: Live, key: str) -> None:
    status, error = post(
        live, "/v1/chat/completions", json.dumps({"model": live.model, **CHAT}), **{"Idempotency-Key": key}
    )
    assert (status, error["param"]) == (400, "Idempotency-Key")
