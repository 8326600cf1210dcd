"""What a key looks like: ``gst_…``, in the shape that all secrets of the store have."""

from __future__ import annotations

from store.accounts.secret import ALPHABET, SecretKind

KEY = SecretKind("gst")
LENGTH = KEY.length

new_secret = KEY.new
shown_prefix = KEY.shown
digest_of = KEY.digest

__all__ = ["ALPHABET", "LENGTH", "digest_of", "new_secret", "shown_prefix"]
