from __future__ import annotations

from itertools import islice

import pytest

from store.accounts.slugs import RESERVED, SLUG_LENGTH, slug_candidates


def first(*wishes: str) -> str:
    return next(slug_candidates(*wishes))


@pytest.mark.parametrize(
    ("wishes", "slug"),
    [
        (("Ada Lovelace", "ada@example.com"), "ada-lovelace"),
        (("", "ada.lovelace@example.com"), "adalovelace"),
        (("José Ñandú", "j@example.com"), "jose-nandu"),
        (("张伟", "zhang.wei@example.com"), "zhangwei"),
        (("张伟", "张伟@example.com"), "member"),
        (("--__--", "!!!@example.com"), "member"),
    ],
)
def test_a_slug_is_made_of_the_name_or_else_of_the_address(wishes: tuple[str, ...], slug: str) -> None:
    assert first(*wishes) == slug


@pytest.mark.parametrize("word", ["admin", "keys", "v1", "models"])
def test_a_word_that_addresses_mean_something_by_is_nobodys_slug(word: str) -> None:
    assert word in RESERVED
    assert first(word) == f"{word}-org"


def test_candidates_differ_fit_and_never_end() -> None:
    some = list(islice(slug_candidates("x" * 80), 50))
    assert len(set(some)) == 50
    assert all(0 < len(slug) <= SLUG_LENGTH for slug in some)
