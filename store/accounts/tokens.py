"""Access tokens: by them a person's programs speak to the Hub protocol and to ``/api``, within their scopes."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _

from store.accounts.models import AccessToken, TokenScope, User
from store.accounts.secret import SecretKind
from store.errors import Conflict, InvalidRequest

TOKEN = SecretKind("gsu")
MAX_NAME = 100
MAX_TOKENS = 100  # that a person has at a time
TOUCH_S = 60  # the last use is written down this often at most: a download of a thousand files is one use


class TooManyTokens(Conflict):
    """A person has MAX_TOKENS that work."""

    code = "too_many_tokens"
    default_message = "You have too many access tokens. Revoke those that you do not use."


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A token and its secret, which nobody can ask for again."""

    token: AccessToken
    secret: str = field(repr=False)


@transaction.atomic
def issue_token(*, user: User, name: str, scopes: Collection[str], expires_at: datetime | None = None) -> IssuedToken:
    """Makes a token that may do what ``scopes`` (of TokenScope) say; writing includes reading.

    Raises InvalidRequest naming the field, and TooManyTokens.
    """
    name = name.strip()
    if not 0 < len(name) <= MAX_NAME:
        raise InvalidRequest(_("A name has 1 to %d characters.") % MAX_NAME, param="name")
    if not scopes or not set(scopes) <= set(TokenScope.values):
        raise InvalidRequest(_("Choose what the token may do."), param="scopes")
    if expires_at and expires_at <= timezone.now():
        raise InvalidRequest(_("The token would have expired already."), param="expires_at")
    User.objects.select_for_update().only("pk").get(pk=user.pk)  # two at once count each other
    if AccessToken.objects.usable().filter(user=user).count() >= MAX_TOKENS:
        raise TooManyTokens
    secret = TOKEN.new()
    granted = set(scopes) | ({TokenScope.READ.value} if TokenScope.WRITE in scopes else set())
    token = AccessToken.objects.create(
        user=user, name=name, prefix=TOKEN.shown(secret), digest=TOKEN.digest(secret), expires_at=expires_at,
        scopes=[scope for scope in TokenScope.values if scope in granted],
    )  # fmt: skip
    return IssuedToken(token, secret)


def revoke_token(*, token: AccessToken) -> None:
    """The token is dead at once and for ever. Doing it twice changes nothing. The caller fetched it through its user."""
    AccessToken.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=timezone.now())


def token_of(secret: str) -> AccessToken | None:
    """The usable token of this secret with its user, or None. Notes that it was used, once in TOUCH_S."""
    digest = TOKEN.digest(secret)
    if digest is None:
        return None
    token = AccessToken.objects.usable().select_related("user").filter(digest=digest).first()
    if token is None:
        return None
    now = timezone.now()
    stale = now - timedelta(seconds=TOUCH_S)
    if token.last_used_at is None or token.last_used_at < stale:
        AccessToken.objects.filter(Q(last_used_at=None) | Q(last_used_at__lt=stale), pk=token.pk).update(
            last_used_at=now
        )
    return token


def user_of_token(secret: str, scope: str) -> User | None:
    """The user for whom the bearer of this secret may act within ``scope`` (of TokenScope), or None."""
    token = token_of(secret)
    return token.user if token and scope in token.scopes else None
