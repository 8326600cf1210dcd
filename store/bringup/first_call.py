"""The first call to a store: a streamed completion over plain HTTP, as any client would make it."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

TIMEOUT_S = 120.0
PROMPT = "Who's there?"
MAX_TOKENS = 48


class CallFailed(Exception):
    """The store answered with an error, or not at all."""


class NotYet(CallFailed):
    """The store says that it cannot serve now."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of the answer's text, or, in the end, what was used: ``prompt_tokens`` and ``completion_tokens``."""

    text: str = ""
    usage: dict[str, Any] | None = None


def stream_chat(address: tuple[str, int], *, host: str, api_key: str, model: str) -> Iterator[Piece]:
    """Yields pieces as they come. ``host`` is the name by which the store knows itself. Raises CallFailed and, before the first piece, NotYet."""
    body = {"model": model, "messages": [{"role": "user", "content": PROMPT}], "max_tokens": MAX_TOKENS, "stream": True}
    body["stream_options"] = {"include_usage": True}
    connection = http.client.HTTPConnection(*address, timeout=TIMEOUT_S)
    headers = {"Authorization": f"Bearer {api_key}", "Content-Type": "application/json", "Host": host}
    try:
        connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
        response = connection.getresponse()
        if response.status != 200:
            kind = NotYet if response.status == http.HTTPStatus.SERVICE_UNAVAILABLE else CallFailed
            raise kind(f"{response.status}: {response.read().decode(errors='replace')[:500]}")
        yield from _pieces(response)
    except (OSError, http.client.HTTPException) as error:
        raise CallFailed(f"the store does not answer: {error}") from error
    finally:
        connection.close()


def _pieces(response: http.client.HTTPResponse) -> Iterator[Piece]:
    """Reads server-sent events up to ``[DONE]``."""
    for line in response:
        if not line.startswith(b"data: "):
            continue
        data = line.removeprefix(b"data: ").strip()
        if data == b"[DONE]":
            return
        event = json.loads(data)
        if "error" in event:
            raise CallFailed(str(event["error"].get("message")))
        text = "".join(choice["delta"].get("content") or "" for choice in event["choices"])
        yield Piece(text=text, usage=event.get("usage"))
    raise CallFailed("the stream broke off")
