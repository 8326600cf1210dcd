"""Secrets of one kind are never taken for those of another."""

from __future__ import annotations

from store.accounts.secret import SecretKind
from store.accounts.tokens import TOKEN
from store.keys.secret import KEY


def test_a_key_is_no_token_and_a_token_no_key() -> None:
    assert KEY.digest(KEY.new()) is not None
    assert TOKEN.digest(TOKEN.new()) is not None
    assert KEY.digest(TOKEN.new()) is None
    assert TOKEN.digest(KEY.new()) is None


def test_the_kind_decides_the_length_and_what_is_shown() -> None:
    kind = SecretKind("longer")
    secret = kind.new()
    assert len(secret) == kind.length
    assert kind.shown(secret) == secret[: len("longer_") + 8]
    assert kind.digest(secret) is not None
