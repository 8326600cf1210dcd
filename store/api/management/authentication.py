"""Who asks: a signed-in session, or the bearer of an access token, who may do what its scopes say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from store.accounts.models import AccessToken, TokenScope, User
from store.accounts.tokens import token_of
from store.errors import PermissionDenied

if TYPE_CHECKING:
    from rest_framework.views import (
        APIView,  # which itself reads, while it is imported, the settings that name this module
    )

SCHEME = "bearer"


class ScopeMissing(PermissionDenied):
    """The access token may not do this."""

    code = "scope_missing"


class TokenAuthentication(BaseAuthentication):
    """``Authorization: Bearer gsu_…``."""

    def authenticate(self, request: Request) -> tuple[User, AccessToken] | None:
        scheme, _space, secret = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != SCHEME:
            return None
        token = token_of(secret.strip())
        if token is None:
            raise AuthenticationFailed("The access token is wrong, expired or revoked.")
        return token.user, token

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


class WithinScope(BasePermission):
    """A session may do what its user may; a token needs a scope besides: READ to look, the view's ``write_scope`` to change."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        token = request.auth
        if not isinstance(token, AccessToken):
            return True
        needed = TokenScope.READ if request.method in SAFE_METHODS else getattr(view, "write_scope", TokenScope.WRITE)
        if needed not in token.scopes:
            raise ScopeMissing(f"This needs an access token with the scope {needed.value!r}.")
        return True
