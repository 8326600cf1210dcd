"""The two shapes of an error on the wire: OpenAI's for ``/v1``, and that of ``/api``. Nothing else renders a StoreError to a client."""

from __future__ import annotations

import math
from http import HTTPStatus
from typing import Any

from django.core.exceptions import PermissionDenied as DjangoPermissionDenied
from django.http import Http404
from rest_framework import exceptions as drf
from rest_framework.response import Response
from rest_framework.settings import api_settings

from store.errors import InvalidRequest, NotFound, PermissionDenied, StoreError

OPENAI_TYPES = {
    401: "authentication_error",
    402: "insufficient_quota",
    403: "permission_error",
    409: "conflict_error",
    429: "rate_limit_error",
}


class Internal(StoreError):
    """A bug. What it is stands in the log, under the request's id."""

    code = "internal_error"
    status = 500
    default_message = "The server had an error while processing your request. Try again, or tell us the x-request-id."


class MethodNotAllowed(StoreError):
    """The path is there, the method is not."""

    code = "method_not_allowed"
    status = 405


class NotSignedIn(StoreError):
    """A session is needed."""

    code = "not_signed_in"
    status = 401
    default_message = "Sign in first."


def openai_error(error: StoreError) -> dict[str, Any]:
    """``{"error": {"message", "type", "param", "code"}}``."""
    other = "server_error" if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR else "invalid_request_error"
    kind = OPENAI_TYPES.get(error.status, other)
    return {"error": {"message": error.message, "type": kind, "param": error.param, "code": error.code}}


def retry_headers(error: StoreError) -> dict[str, str]:
    """``Retry-After`` in whole seconds, where the error knows it."""
    return {} if error.retry_after_s is None else {"retry-after": str(max(1, math.ceil(error.retry_after_s)))}


def management_error(error: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's exception handler: ``{"error": {"code", "message", "param"}}`` for everything; None makes it a 500."""
    known = _as_store_error(error)
    if known is None:
        return None
    body = {"error": {"code": known.code, "message": known.message, "param": known.param}}
    return Response(body, status=known.status, headers=retry_headers(known))


def _as_store_error(error: Exception) -> StoreError | None:
    match error:
        case StoreError():
            return error
        case drf.ValidationError(detail=detail):
            param, message = _first(detail)
            return InvalidRequest(message, param=param)
        case drf.NotAuthenticated() | drf.AuthenticationFailed():
            return NotSignedIn()
        case drf.PermissionDenied() | DjangoPermissionDenied():
            return PermissionDenied(str(error) or None)
        case drf.NotFound() | Http404():
            return NotFound()
        case drf.MethodNotAllowed():
            return MethodNotAllowed(str(error))
        case drf.APIException() if error.status_code < HTTPStatus.INTERNAL_SERVER_ERROR:
            return InvalidRequest(str(error.detail))
    return None


def _first(detail: Any, path: str = "") -> tuple[str | None, str]:
    """The first complaint of a serializer: (the field's path, the message)."""
    if isinstance(detail, dict):
        name, inner = next(iter(detail.items()))
        own = "" if name == api_settings.NON_FIELD_ERRORS_KEY else str(name)
        return _first(inner, f"{path}.{own}".strip("."))
    if isinstance(detail, list):
        return _first(next(item for item in detail if item), path)
    return path or None, str(detail)
