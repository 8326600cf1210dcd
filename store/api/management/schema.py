"""What the OpenAPI schema says besides what the views say themselves: access tokens, the one shape of errors, conditional reads."""

from __future__ import annotations

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.views import SpectacularAPIView
from rest_framework.permissions import AllowAny

from store.api.management.authentication import SCHEME, TokenAuthentication

ERROR = {
    "type": "object",
    "description": "Every error. `code` is stable; `param` names the field at fault, or is null.",
    "properties": {
        "error": {
            "type": "object",
            "properties": {
                "code": {"type": "string"},
                "message": {"type": "string"},
                "param": {"type": "string", "nullable": True},
            },
            "required": ["code", "message", "param"],
        }
    },
    "required": ["error"],
}
IF_NONE_MATCH = {
    "name": "If-None-Match",
    "in": "header",
    "schema": {"type": "string"},
    "description": "The ETag of an earlier answer: 304 without a body where nothing has changed.",
}


class SchemaView(SpectacularAPIView):
    """``GET /api/schema``: OpenAPI 3, as YAML, or as JSON for ``?format=json``."""

    permission_classes = [AllowAny]


def with_errors(result: dict[str, Any], **_context: Any) -> dict[str, Any]:
    """A postprocessing hook of drf-spectacular."""
    result["components"].setdefault("schemas", {})["Error"] = ERROR
    answer = {
        "description": "An error",
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
    }
    for methods in result["paths"].values():
        for method, operation in methods.items():
            operation["responses"].setdefault("default", answer)
            if method == "get":
                operation["parameters"] = [*operation.get("parameters", []), IF_NONE_MATCH]
    return result


class TokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # its registration is not typed
    """How the schema describes the access token."""

    target_class = TokenAuthentication
    name = "accessToken"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": SCHEME, "description": "An access token from /settings/tokens."}
