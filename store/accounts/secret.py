"""What a secret of the store looks like: ``<kind>_<8 prefix>_<32 random>_<6 checksum>``, all base 62. ``gst_`` is a key, ``gsu_`` a
user's access token.

The prefix names the secret and may be shown. The random part is 190 bits. The checksum is the CRC-32 of all before it, as secret
scanners and typing errors need it: a mistyped secret is refused without a query.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import string
import zlib
from dataclasses import dataclass

ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
PREFIX_CHARS, RANDOM_CHARS, CHECKSUM_CHARS = 8, 32, 6
TAIL = re.compile(
    rf"_[0-9A-Za-z]{{{PREFIX_CHARS}}}_[0-9A-Za-z]{{{RANDOM_CHARS}}}_[0-9A-Za-z]{{{CHECKSUM_CHARS}}}", re.ASCII
)


@dataclass(frozen=True, slots=True)
class SecretKind:
    """Makes and recognizes the secrets that begin with ``word``."""

    word: str

    @property
    def length(self) -> int:
        """Characters of a whole secret."""
        return len(self.word) + len("___") + PREFIX_CHARS + RANDOM_CHARS + CHECKSUM_CHARS

    def new(self) -> str:
        """A secret that was never there before."""
        body = f"{self.word}_{_random(PREFIX_CHARS)}_{_random(RANDOM_CHARS)}"
        return f"{body}_{_checksum(body)}"

    def shown(self, secret: str) -> str:
        """The part that may be shown: ``gst_4fGh21Zk``."""
        return secret[: len(self.word) + 1 + PREFIX_CHARS]

    def digest(self, secret: str) -> bytes | None:
        """The SHA-256 under which a secret is stored, or None for what was never one of this kind."""
        if len(secret) != self.length or not secret.startswith(self.word) or not TAIL.fullmatch(secret, len(self.word)):
            return None
        body, _, checksum = secret.rpartition("_")
        if _checksum(body) != checksum:
            return None
        return hashlib.sha256(secret.encode()).digest()


def _random(length: int) -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(length))


def _checksum(body: str) -> str:
    rest, digits = zlib.crc32(body.encode()), ""
    for _ in range(CHECKSUM_CHARS):
        rest, digit = divmod(rest, len(ALPHABET))
        digits = ALPHABET[digit] + digits
    return digits
