from __future__ import annotations

import pytest
from django.template import Context, Template

from store.console.figures import fingerprint, rounded, share_of_all, short_bytes, short_count, short_number


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (0, "0"),
        (999, "999"),
        (1000, "1K"),
        (10_300_000, "10.3M"),
        (124_000_000, "124M"),
        (6_738_000_000, "6.7B"),
        (10**13, "10T"),
    ],
)
def test_counts_are_short(number: int, words: str) -> None:
    assert short_count(number) == words


@pytest.mark.parametrize(("size", "words"), [(12, "12 B"), (30_000_000, "28.6 MB"), (1 << 30, "1 GB")])
def test_sizes_are_short(size: int, words: str) -> None:
    assert short_bytes(size) == words


def test_two_digests_have_two_fingerprints_and_no_inline_style() -> None:
    one, other = fingerprint(f"sha256:{'ab' * 32}"), fingerprint(f"sha256:{'cd' * 32}")
    assert one != other
    assert one.count("<rect") == 16
    assert "style=" not in one


def test_the_digits_beyond_the_cent_stand_back() -> None:
    shown = Template("{% load shop %}{{ nano|dollars }}").render(Context({"nano": 1_234_567}))
    assert shown == '<span class="money">$0.00<wbr><span class="money-tail">1234567</span></span>'


def test_measured_numbers_have_three_digits_that_mean_something() -> None:
    told = [short_number(number) for number in (1234.5, 843.1, 84.31, 7.126, 0.51234, 12.0, 0)]
    assert told == ["1,234", "843", "84.3", "7.13", "0.512", "12", "0"]


def test_a_share_is_never_rounded_up_to_all() -> None:
    assert [share_of_all(share) for share in (1, 0.99999, 0.99879, 0.5, 0)] == ["100%", "99.99%", "99.87%", "50%", "0%"]


def test_an_estimate_does_not_pretend_to_know() -> None:
    assert [rounded(nano) for nano in (52_602_309_033, 999_996, 126, 0)] == [52_600_000_000, 1_000_000, 126, 0]
