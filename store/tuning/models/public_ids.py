"""Ids that clients see, as OpenAI's: a prefix, and 24 letters and digits that nobody can guess."""

from __future__ import annotations

import secrets
import string

ALPHABET = string.ascii_letters + string.digits
LENGTH = 24


def new_id(prefix: str) -> str:
    """``file-`` and the like, with 142 random bits after it."""
    return prefix + "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))
