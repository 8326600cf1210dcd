"""The one root of every error that a person or a client can see."""

from __future__ import annotations

from typing import ClassVar


class StoreError(Exception):
    """Something the caller can be told.

    ``code`` is stable and machine-readable, ``status`` an HTTP status, ``param`` the field at fault, ``retry_after_s`` how long to
    wait before the same call can succeed. ``/v1`` renders it in OpenAI's shape, ``/api`` and pages in theirs: nothing else does.
    """

    code: ClassVar[str] = "store_error"
    status: ClassVar[int] = 400
    default_message: ClassVar[str] = "The request cannot be served."

    def __init__(
        self, message: str | None = None, *, param: str | None = None, retry_after_s: float | None = None
    ) -> None:
        self.message = message or self.default_message
        self.param = param
        self.retry_after_s = retry_after_s
        super().__init__(self.message)


class InvalidRequest(StoreError):
    """A field is missing, malformed, out of range or not supported."""

    code = "invalid_request"
    default_message = "The request is not valid."


class NotFound(StoreError):
    """The object does not exist, or not for this caller."""

    code = "not_found"
    status = 404
    default_message = "There is no such object."


class PermissionDenied(StoreError):
    """The caller is known, and may not do this."""

    code = "permission_denied"
    status = 403
    default_message = "You may not do this."


class Conflict(StoreError):
    """The object is not in a state that allows this, or somebody else got there first."""

    code = "conflict"
    status = 409
    default_message = "The object has changed meanwhile."


class Unavailable(StoreError):
    """The store cannot do this now; ``retry_after_s`` is an estimate."""

    code = "unavailable"
    status = 503
    default_message = "The store cannot do this right now."
