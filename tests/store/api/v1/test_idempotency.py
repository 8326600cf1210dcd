"""The same Idempotency-Key again: the same tokens, one charge."""

from __future__ import annotations

import threading
from typing import Any

import httpx
import pytest

from store.runs.models import Run
from tests.store.live import Live, wait_until


@pytest.fixture(scope="module")
def live(live: Live) -> Live:
    live.start_stub(STUB_TOKENS="8", STUB_DELAY_S="0.05")
    return live


def ask(live: Live, key: str, **fields: Any) -> httpx.Response:
    body = {"model": live.model, "messages": [{"role": "user", "content": "Who is it that says most?"}], **fields}
    return live.http.post("/v1/chat/completions", json=body, headers={"Idempotency-Key": key})


def test_a_repeated_call_gets_the_same_answer_and_is_charged_once(live: Live) -> None:
    first = ask(live, "whole")
    posted = live.wallet().posted_nano
    again = ask(live, "whole")
    assert again.json() == first.json()
    assert again.headers["idempotent-replayed"] == "true"
    assert "idempotent-replayed" not in first.headers
    assert live.wallet().posted_nano == posted


def test_a_repeated_stream_has_the_same_chunks(live: Live) -> None:
    options = {"stream": True, "stream_options": {"include_usage": True}}
    first, again = ask(live, "stream", **options), ask(live, "stream", **options)
    assert first.text.count("data:") > 8
    assert again.headers["idempotent-replayed"] == "true"

    def said(response: httpx.Response) -> str:
        return "".join(part for part in response.text.split('"content":"')[1:])

    assert said(again).count(" w") == said(first).count(" w") == 8
    assert again.text.splitlines()[-4:] == first.text.splitlines()[-4:]  # the usage and [DONE]
    assert Run.objects.filter(is_stream=True).count() == 1


def test_another_body_under_the_same_key_is_a_422(live: Live) -> None:
    ask(live, "body")
    refused = ask(live, "body", temperature=0.5)
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "idempotency_mismatch")


def test_the_key_of_a_call_under_way_is_a_409_with_retry_after(live: Live) -> None:
    first = threading.Thread(target=ask, args=(live, "now"))
    runs = Run.objects.count()
    first.start()
    wait_until(lambda: Run.objects.count() > runs)
    refused = ask(live, "now")
    first.join()
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "idempotency_in_progress")
    assert int(refused.headers["retry-after"]) >= 1
    assert ask(live, "now").headers["idempotent-replayed"] == "true"
