"""What all of ``/v1`` has in common: request ids, OpenAI's error shape, and no exception that leaves it."""

from __future__ import annotations

import functools
import logging
import time
import uuid
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import msgspec
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.http import http_date
from django.views.decorators.csrf import csrf_exempt

from store.api.address import caller_address
from store.api.errors import Internal, MethodNotAllowed, openai_error, retry_headers
from store.catalog.reads import CallableListing
from store.errors import StoreError
from store.keys.authenticate import authenticate
from store.keys.grants import InvalidKey, KeyGrant, RateState
from store.uploads.receiving import ClientGone

View = Callable[..., Coroutine[Any, Any, HttpResponseBase]]

log = logging.getLogger(__name__)

encode = msgspec.json.encode


def json_response(value: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> HttpResponse:
    """``value`` as msgspec writes it."""
    body = encode(value)
    own = {"content-length": str(len(body)), **(headers or {})}
    return HttpResponse(body, status=status, content_type="application/json", headers=own)


def error_response(error: StoreError) -> HttpResponse:
    """An error in OpenAI's shape."""
    return json_response(openai_error(error), status=error.status, headers=retry_headers(error))


def new_request_id() -> str:
    """What names a request in its answer, in the books and in the log."""
    return f"req_{uuid.uuid4().hex}"


def endpoint(*methods: str) -> Callable[[View], View]:
    """An async view of ``/v1`` that answers ``methods``. The view finds its id as ``request.id``."""

    def decorate(view: View) -> View:
        @functools.wraps(view)
        async def wrapped(request: HttpRequest, **kwargs: Any) -> HttpResponseBase:
            began = time.perf_counter()
            request.id = new_request_id()  # type: ignore[attr-defined]
            try:
                if request.method not in methods:
                    raise MethodNotAllowed(f"{request.path} answers {', '.join(methods)} only.")
                response = await view(request, **kwargs)
            except StoreError as error:
                response = error_response(error)
            except ClientGone:
                raise  # nobody hears an answer
            except Exception:
                log.exception("%s", request.id)  # type: ignore[attr-defined]
                response = error_response(Internal())
            response["x-request-id"] = request.id  # type: ignore[attr-defined]
            response["openai-processing-ms"] = str(round((time.perf_counter() - began) * 1000))
            if response.status_code == MethodNotAllowed.status:
                response["allow"] = ", ".join(methods)
            return response

        return csrf_exempt(wrapped)

    return decorate


async def grant_of(request: HttpRequest) -> KeyGrant:
    """What the request's bearer may do. Raises InvalidKey, NetworkDenied, Unavailable."""
    scheme, _space, secret = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
    if not secret:
        raise InvalidKey("No API key provided. Send it as 'Authorization: Bearer KEY'.")
    if scheme.lower() != "bearer":
        raise InvalidKey("The Authorization header must be 'Bearer KEY'.")
    return await authenticate(secret.strip(), address=caller_address(request))


def call_headers(listing: CallableListing, state: RateState) -> dict[str, str]:
    """What an answer says beside itself: the key's limits, and that the model ends, where it does (RFC 9745 and RFC 8594)."""
    headers = rate_headers(state)
    if listing.deprecated_at:
        headers["deprecation"] = f"@{int(listing.deprecated_at.timestamp())}"
    if listing.shutdown_at:
        headers["sunset"] = http_date(listing.shutdown_at.timestamp())
    return headers


def rate_headers(state: RateState) -> dict[str, str]:
    """x-ratelimit-* of the limits that the key has."""
    headers = {}
    if state.limit_requests is not None:
        headers["x-ratelimit-limit-requests"] = str(state.limit_requests)
        headers["x-ratelimit-remaining-requests"] = str(state.remaining_requests)
        headers["x-ratelimit-reset-requests"] = f"{state.reset_requests_s:.3f}s"
    if state.limit_tokens is not None:
        headers["x-ratelimit-limit-tokens"] = str(state.limit_tokens)
        headers["x-ratelimit-remaining-tokens"] = str(state.remaining_tokens)
        headers["x-ratelimit-reset-tokens"] = f"{state.reset_tokens_s:.3f}s"
    return headers
