"""Who sends a request of the Hub protocol: a person by access token or session, a worker by the token of a release, or a stranger."""

from __future__ import annotations

from dataclasses import dataclass

from django.http import HttpRequest

from store.accounts.models import TokenScope, User
from store.accounts.tokens import TOKEN, token_of
from store.errors import StoreError
from store.hub.tokens import read_release_token


class TokenRequired(StoreError):
    """There is no token where one is needed."""

    code = "hub_token_required"
    status = 401
    default_message = "Name yourself: set HF_TOKEN to an access token of this store."


class BadCredentials(StoreError):
    """A token that is forged, expired or revoked. The Hub's clients know this sentence, and say by it that it is the token."""

    code = "hub_bad_credentials"
    status = 401
    default_message = "Invalid credentials in Authorization header"


class ScopeMissing(StoreError):
    """The token is good, and not for this."""

    code = "hub_scope_missing"
    status = 403


@dataclass(frozen=True, slots=True)
class Caller:
    """``user`` is None for strangers and workers; a worker has the one release that it may read. ``scopes`` are of TokenScope."""

    user: User | None = None
    scopes: frozenset[str] = frozenset()
    release_id: int | None = None
    token_name: str = ""

    def require(self, scope: TokenScope) -> User:
        """The user, who may act within ``scope``. Raises TokenRequired and ScopeMissing."""
        if self.user is None:
            raise TokenRequired
        if scope not in self.scopes:
            raise ScopeMissing(f"This access token has no right to {scope.value}: make one that has it.")
        return self.user


def caller_of(request: HttpRequest) -> Caller:
    """A session may read: whatever changes something needs a token, for a foreign page can send no token. Raises BadCredentials."""
    header = request.headers.get("Authorization", "")
    if not header:
        user = request.user
        return Caller(user, frozenset({TokenScope.READ})) if isinstance(user, User) else Caller()
    kind, _space, secret = header.partition(" ")
    if kind.lower() != "bearer":
        raise BadCredentials
    secret = secret.strip()
    if secret.startswith(f"{TOKEN.word}_"):
        token = token_of(secret)
        if token is None:
            raise BadCredentials
        return Caller(token.user, frozenset(token.scopes), token_name=token.name)
    release_id = read_release_token(secret)
    if release_id is None:
        raise BadCredentials
    return Caller(release_id=release_id)
