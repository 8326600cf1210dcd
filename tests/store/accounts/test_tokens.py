"""Access tokens are issued, found, noted and revoked."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from datetime import timedelta

import pytest
from django.utils import timezone

from store.accounts.models import AccessToken, TokenScope, User
from store.accounts.tokens import MAX_TOKENS, TOUCH_S, TooManyTokens, issue_token, revoke_token, token_of, user_of_token
from store.errors import InvalidRequest

READ, WRITE, KEYS = TokenScope.READ, TokenScope.WRITE, TokenScope.KEYS


def test_a_secret_is_shown_once_and_stored_as_its_digest(consumer: User) -> None:
    issued = issue_token(user=consumer, name=" laptop ", scopes=[READ])
    assert issued.secret.startswith(issued.token.prefix + "_")
    assert issued.token.name == "laptop"
    assert bytes(issued.token.digest) == hashlib.sha256(issued.secret.encode()).digest()
    assert issued.secret not in repr(issued)


def test_a_token_acts_for_its_user_within_its_scopes(consumer: User) -> None:
    issued = issue_token(user=consumer, name="ci", scopes=[READ])
    assert user_of_token(issued.secret, READ) == consumer
    assert user_of_token(issued.secret, WRITE) is None
    assert user_of_token(issued.secret, KEYS) is None


def test_who_may_write_may_read(consumer: User) -> None:
    assert issue_token(user=consumer, name="ci", scopes=[WRITE]).token.scopes == [READ, WRITE]


@pytest.mark.parametrize("secret", ["", "gsu_", "x" * 53, "gst_12345678_12345678901234567890123456789012_123456"])
def test_what_was_never_a_token_opens_nothing(db: None, secret: str) -> None:
    assert token_of(secret) is None


def test_a_revoked_an_expired_and_a_locked_out_users_token_open_nothing(consumer: User) -> None:
    issued = issue_token(user=consumer, name="ci", scopes=[READ], expires_at=timezone.now() + timedelta(days=1))
    AccessToken.objects.filter(pk=issued.token.pk).update(expires_at=timezone.now())
    assert token_of(issued.secret) is None
    other = issue_token(user=consumer, name="ci", scopes=[READ])
    revoke_token(token=other.token)
    revoke_token(token=other.token)
    assert token_of(other.secret) is None
    third = issue_token(user=consumer, name="ci", scopes=[READ])
    User.objects.filter(pk=consumer.pk).update(is_active=False)
    assert token_of(third.secret) is None


def test_its_use_is_noted_once_a_minute(consumer: User) -> None:
    issued = issue_token(user=consumer, name="ci", scopes=[READ])
    token_of(issued.secret)
    issued.token.refresh_from_db()
    first = issued.token.last_used_at
    assert first is not None
    token_of(issued.secret)
    issued.token.refresh_from_db()
    assert issued.token.last_used_at == first
    AccessToken.objects.filter(pk=issued.token.pk).update(last_used_at=first - timedelta(seconds=TOUCH_S + 1))
    token_of(issued.secret)
    issued.token.refresh_from_db()
    assert issued.token.last_used_at is not None
    assert issued.token.last_used_at >= first


@pytest.mark.parametrize(
    ("name", "scopes", "days", "field"),
    [("", [READ], 1, "name"), ("x" * 101, [READ], 1, "name"), ("a", [], 1, "scopes"), ("a", ["all"], 1, "scopes"), ("a", [READ], -1, "expires_at")],
)  # fmt: skip
def test_what_cannot_be_is_refused_by_field(
    consumer: User, name: str, scopes: Collection[str], days: int, field: str
) -> None:
    with pytest.raises(InvalidRequest) as raised:
        issue_token(user=consumer, name=name, scopes=scopes, expires_at=timezone.now() + timedelta(days=days))
    assert raised.value.param == field


def test_nobody_has_more_than_they_can_look_after(consumer: User) -> None:
    row = issue_token(user=consumer, name="0", scopes=[READ]).token
    AccessToken.objects.bulk_create(
        AccessToken(user=consumer, name=str(n), prefix=row.prefix, digest=f"{n:032d}".encode(), scopes=[READ])
        for n in range(1, MAX_TOKENS)
    )
    with pytest.raises(TooManyTokens):
        issue_token(user=consumer, name="one more", scopes=[READ])
    revoke_token(token=row)
    assert issue_token(user=consumer, name="one more", scopes=[READ]).token.pk
