"""What a key looks like: ``gst_<8 prefix>_<32 random>_<6 checksum>``, all base 62.

The prefix names the key and may be shown. The random part is 190 bits. The checksum is the CRC-32 of all before it, as secret
scanners and typing errors need it: a mistyped key is refused without a query.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import string
import zlib

ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
PREFIX_CHARS, RANDOM_CHARS, CHECKSUM_CHARS = 8, 32, 6
SHAPE = re.compile(
    rf"gst_[0-9A-Za-z]{{{PREFIX_CHARS}}}_[0-9A-Za-z]{{{RANDOM_CHARS}}}_[0-9A-Za-z]{{{CHECKSUM_CHARS}}}", re.ASCII
)
LENGTH = len("gst___") + PREFIX_CHARS + RANDOM_CHARS + CHECKSUM_CHARS


def new_secret() -> str:
    """A secret that was never there before."""
    body = f"gst_{_random(PREFIX_CHARS)}_{_random(RANDOM_CHARS)}"
    return f"{body}_{_checksum(body)}"


def shown_prefix(secret: str) -> str:
    """The part that may be shown: ``gst_4fGh21Zk``."""
    return secret[: len("gst_") + PREFIX_CHARS]


def digest_of(secret: str) -> bytes | None:
    """The SHA-256 under which a secret is stored, or None for what was never a key of this store."""
    if len(secret) != LENGTH or not SHAPE.fullmatch(secret):
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
