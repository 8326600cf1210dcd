"""Errors as the Hub's clients read them, and request bodies as they send them."""

from __future__ import annotations

import functools
import json
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from django.http import HttpRequest, HttpResponseBase, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from store.catalog.actions.commits import FileMissing, RevisionMissing
from store.errors import InvalidRequest, NotFound, StoreError
from store.hub.callers import TokenRequired
from store.hub.reads import FilesGated

MAX_HEADER_CHARS = 500
# By these words clients choose the exception that they raise; the first class that fits.
ERROR_CODES: tuple[tuple[type[StoreError], str], ...] = (
    (FileMissing, "EntryNotFound"),
    (RevisionMissing, "RevisionNotFound"),
    (FilesGated, "GatedRepo"),
    (TokenRequired, "RepoNotFound"),  # as the Hub does: whether there is such a repository is not told to strangers
    (NotFound, "RepoNotFound"),
)

R = TypeVar("R", bound=HttpResponseBase)
View = Callable[..., HttpResponseBase]
AsyncView = Callable[..., Awaitable[HttpResponseBase]]


def hub_view(*methods: str) -> Callable[[View], View]:
    """A view of the Hub protocol. It is no form: who changes something shows a token, so no CSRF cookie is asked for."""

    def wrap(view: View) -> View:
        @csrf_exempt
        @require_http_methods(methods)
        @functools.wraps(view)
        def rendered(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            try:
                _refuse_nul(request, kwargs)
                return _private(view(request, *args, **kwargs))
            except StoreError as error:
                return error_response(error)

        return rendered

    return wrap


def async_hub_view(*methods: str) -> Callable[[AsyncView], Callable[..., Any]]:
    """The same for a view that streams."""

    def wrap(view: AsyncView) -> Callable[..., Any]:
        @csrf_exempt
        @require_http_methods(methods)
        @functools.wraps(view)
        async def rendered(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            try:
                _refuse_nul(request, kwargs)
                return _private(await view(request, *args, **kwargs))
            except StoreError as error:
                return error_response(error)

        return rendered

    return wrap


def error_response(error: StoreError, **more: object) -> JsonResponse:
    """A sentence and a code in the body, and in headers too: the answer to a HEAD has no body."""
    response = JsonResponse({"error": error.message, "code": error.code, **more}, status=error.status)
    code = next((word for kind, word in ERROR_CODES if isinstance(error, kind)), None)
    if code:
        response["X-Error-Code"] = code
    if error.message.isascii() and error.message.isprintable() and len(error.message) <= MAX_HEADER_CHARS:
        response["X-Error-Message"] = error.message
    return _private(response)


def read_json(request: HttpRequest) -> dict[str, Any]:
    """The object in the body. Raises InvalidRequest."""
    try:
        made = json.loads(request.body)
    except (ValueError, RecursionError):
        made = None
    if not isinstance(made, dict):
        raise InvalidRequest("The body is not a JSON object.")
    return made


def text_of(body: dict[str, Any], name: str, default: str = "") -> str:
    """A text of the body, ``default`` where it is missing or null. Raises InvalidRequest naming the field."""
    value = body.get(name)
    if value is None:
        return default
    if not isinstance(value, str) or "\0" in value:
        raise InvalidRequest(f"`{name}` is not a text.", param=name)
    return value


def _refuse_nul(request: HttpRequest, named: dict[str, Any]) -> None:
    """PostgreSQL has no text with a character of code 0, so nothing is called that."""
    if any(
        "\0" in text for text in (*map(str, named.values()), *(v for values in request.GET.lists() for v in values[1]))
    ):
        raise InvalidRequest("An address has no character of code 0.")


def _private(response: R) -> R:
    response.headers.setdefault("Cache-Control", "private, no-store")
    return response
