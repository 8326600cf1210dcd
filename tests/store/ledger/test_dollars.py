from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.ledger.dollars import MAX_DOLLARS, NANO_PER_DOLLAR, dollars, parse_dollars


@pytest.mark.parametrize(
    ("nano", "words"),
    [
        (0, "$0.00"),
        (1, "$0.000000001"),
        (1_234_567, "$0.001234567"),
        (10_000_000, "$0.01"),
        (12_500_000_000, "$12.50"),
        (-12_345_678_900_000_000, "-$12,345,678.90"),
        (2**63 - 1, "$9,223,372,036.854775807"),
    ],
)
def test_an_amount_is_shown_in_full(nano: int, words: str) -> None:
    assert dollars(nano) == words


@given(st.integers(0, MAX_DOLLARS * NANO_PER_DOLLAR))
def test_what_is_shown_can_be_read_back(nano: int) -> None:
    assert parse_dollars(dollars(nano)) == nano


@pytest.mark.parametrize(
    "text",
    ["", ".", "$", "-1", "1e3", "1.0000000001", "1,5x", "NaN", "inf", "１２", "1 2", "0x1", "1000001", "9" * 400],
)
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="dollars"):
        parse_dollars(text)
