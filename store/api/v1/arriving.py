"""Requests to ``/v1`` whose body goes to the disk as it comes, and is never in memory: files, and parts of them."""

from __future__ import annotations

import re
from typing import Any

from django.http import HttpRequest

from store.uploads.receiving import Receive

STREAMED = re.compile(r"/v1/files|/v1/uploads/[^/]+/parts")
DISCARDED_BYTES = 64 * 1024**2  # a refused body may go on for so long; a larger one ends with its connection


def is_streamed(scope: dict[str, Any]) -> bool:
    """Whether the view reads the body itself, by ``receive_of``."""
    return scope["method"] == "POST" and STREAMED.fullmatch(scope["path"]) is not None


def receive_of(request: HttpRequest) -> Receive:
    """Where the body comes from."""
    receive: Receive = request.receive  # type: ignore[attr-defined]  # set by the handler
    return receive
