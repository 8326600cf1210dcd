"""What a key looks like, and what never was one."""

from __future__ import annotations

import hashlib
import re
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.keys.secret import ALPHABET, LENGTH, digest_of, new_secret, shown_prefix


def test_a_secret_has_the_shape_that_scanners_look_for() -> None:
    secret = new_secret()
    assert re.fullmatch(r"gst_[0-9A-Za-z]{8}_[0-9A-Za-z]{32}_[0-9A-Za-z]{6}", secret)
    assert shown_prefix(secret) == secret[:12]
    assert digest_of(secret) == hashlib.sha256(secret.encode()).digest()
    assert len(ALPHABET) ** 32 > 2**160


def test_secrets_never_repeat() -> None:
    assert len({new_secret() for _ in range(1000)}) == 1000


def test_the_checksum_is_the_crc32_in_base_62() -> None:
    body, _, checksum = new_secret().rpartition("_")
    value = 0
    for digit in checksum:
        value = value * 62 + ALPHABET.index(digit)
    assert value == zlib.crc32(body.encode())


@given(st.integers(0, LENGTH - 1), st.sampled_from(ALPHABET + "_- é"))
def test_any_one_wrong_character_is_refused(position: int, wrong: str) -> None:
    secret = new_secret()
    mistyped = secret[:position] + wrong + secret[position + 1 :]
    assert (digest_of(mistyped) is None) == (mistyped != secret)


@pytest.mark.parametrize(
    "text",
    ["", "sk-1234", "gst_", new_secret() + "0", new_secret()[:-1], new_secret() + "\n", "x" * 1_000_000],
    ids=["empty", "another's", "prefix", "longer", "shorter", "newline", "huge"],
)
def test_what_was_never_a_key_is_refused(text: str) -> None:
    assert digest_of(text) is None
