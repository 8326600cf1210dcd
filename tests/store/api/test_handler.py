"""The short way to /v1: bodies that are too large or cut off, clients that do not read."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import pytest

from store.api.handler import Handler
from tests.waiting import PATIENCE_S

SCOPE = {
    "type": "http",
    "method": "POST",
    "path": "/v1/chat/completions",
    "query_string": b"",
    "headers": [],
    "scheme": "http",
}


class Client:
    """An ASGI client that sends ``parts``, then stays or leaves."""

    def __init__(self, *parts: bytes, stays: bool = True) -> None:
        self.messages: list[dict[str, Any]] = [{"type": "http.request", "body": p, "more_body": True} for p in parts]
        self.messages += [{"type": "http.request"}] if stays else [{"type": "http.disconnect"}]
        self.heard: list[Mapping[str, Any]] = []

    async def receive(self) -> dict[str, Any]:
        if self.messages:
            return self.messages.pop(0)
        await asyncio.Event().wait()
        raise AssertionError

    async def send(self, message: Mapping[str, Any]) -> None:
        self.heard.append(message)


async def test_a_body_over_the_limit_is_read_and_refused(settings: Any) -> None:
    settings.MAX_BODY_BYTES = 100
    client = Client(*[b"x" * 60] * 3)
    await Handler()(SCOPE, client.receive, client.send)
    assert client.heard[0]["status"] == 413
    assert json.loads(client.heard[1]["body"])["error"]["code"] == "request_too_large"
    assert not client.messages


async def test_a_body_without_end_is_cut_off(settings: Any) -> None:
    settings.MAX_BODY_BYTES = 100
    client = Client(*[b"x" * 60] * 100)
    await Handler()(SCOPE, client.receive, client.send)
    assert client.heard[0]["status"] == 413
    assert client.messages


async def test_a_client_that_leaves_before_its_request_is_whole_is_not_answered() -> None:
    client = Client(b"{", stays=False)
    await Handler()(SCOPE, client.receive, client.send)
    assert client.heard == []


async def test_a_client_that_does_not_read_is_given_up(settings: Any) -> None:
    settings.SLOW_CLIENT_S = 0.05

    async def never(_message: Mapping[str, Any]) -> None:
        await asyncio.Event().wait()

    client = Client(b"{}")
    async with asyncio.timeout(PATIENCE_S):
        await Handler()(SCOPE, client.receive, never)


@pytest.mark.parametrize("path", ["/v1/", "/v1/nothing", "/v1/chat"])
async def test_an_unknown_path_is_a_404_in_openais_shape(path: str) -> None:
    client = Client()
    await Handler()({**SCOPE, "path": path}, client.receive, client.send)
    assert client.heard[0]["status"] == 404
    assert json.loads(client.heard[1]["body"])["error"]["code"] == "unknown_url"
