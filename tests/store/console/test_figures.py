from __future__ import annotations

import pytest
from django.template import Context, Template

from store.console.figures import fingerprint, short_bytes, short_count


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
