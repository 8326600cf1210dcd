"""Errors in Stripe's shape."""

from __future__ import annotations

from typing import Any


class ApiError(Exception):
    """An answer that is not 2xx; ``extra`` are further fields of the error object."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        type: str = "invalid_request_error",
        code: str = "",
        param: str = "",
        extra: dict[str, Any] | None = None,
    ) -> None:
        self.status = status
        said = {"type": type, "message": message, "code": code, "param": param, **(extra or {})}
        self.body = {"error": {name: value for name, value in said.items() if value != ""}}
        super().__init__(message)


class CardDeclined(ApiError):
    """What a bank refused. The payment that was refused is kept, for it shows the error: see ``serve``."""

    def __init__(self, decline_code: str, *, code: str = "card_declined", extra: dict[str, Any] | None = None) -> None:
        super().__init__(
            WORDS.get(code) or WORDS.get(decline_code, "Your card was declined."),
            status=402,
            type="card_error",
            code=code,
            extra={"decline_code": decline_code, **(extra or {})},
        )


WORDS = {
    "insufficient_funds": "Your card has insufficient funds.",
    "expired_card": "Your card has expired.",
    "incorrect_cvc": "Your card's security code is incorrect.",
    "authentication_required": "Your card was declined. This transaction requires authentication.",
}


def missing(kind: str, id: str, param: str = "id") -> ApiError:
    """404: nothing of this id."""
    return ApiError(f"No such {kind}: '{id}'", status=404, code="resource_missing", param=param)
