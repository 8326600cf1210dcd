"""Prices are exact, and rounded once."""

from __future__ import annotations

from fractions import Fraction
from math import ceil

from hypothesis import given
from hypothesis import strategies as st

from store.ledger.pricing import Rates, affordable_tokens, charge, split

prices = st.integers(0, 10**13)
tokens = st.integers(0, 2**31 - 1)
rates = st.builds(
    lambda dear, cheap, output, request: Rates(
        input_nano=max(dear, cheap), cached_input_nano=min(dear, cheap), output_nano=output, request_nano=request
    ),
    prices,
    prices,
    prices,
    prices,
)


@given(rates, tokens, tokens, st.data())
def test_a_charge_is_the_exact_sum_rounded_up_once(rates: Rates, prompt: int, output: int, data: st.DataObject) -> None:
    cached = data.draw(st.integers(0, prompt))
    exact = Fraction((prompt - cached) * rates.input_nano, 10**6) + Fraction(cached * rates.cached_input_nano, 10**6)
    exact += Fraction(output * rates.output_nano, 10**6) + rates.request_nano
    assert charge(rates, prompt_tokens=prompt, output_tokens=output, cached_tokens=cached) == ceil(exact)


def test_three_classes_of_a_third_each_cost_one_unit_not_three() -> None:
    thirds = Rates(input_nano=300_000, cached_input_nano=300_000, output_nano=300_000)
    assert charge(thirds, prompt_tokens=2, output_tokens=1, cached_tokens=1) == 1


@given(rates, st.integers(0, 10**6), st.integers(0, 10**19), st.integers(0, 10**6))
def test_affordable_tokens_are_affordable_and_one_more_is_not(
    rates: Rates, prompt: int, amount: int, most: int
) -> None:
    affordable = affordable_tokens(rates, prompt_tokens=prompt, amount_nano=amount, at_most=most)
    if affordable < 0:
        assert charge(rates, prompt_tokens=prompt, output_tokens=0) > amount
        return
    assert charge(rates, prompt_tokens=prompt, output_tokens=affordable) <= amount
    if affordable < most:
        assert charge(rates, prompt_tokens=prompt, output_tokens=affordable + 1) > amount


@given(st.integers(0, 2**63 - 1), st.integers(0, 10**6))
def test_shares_are_the_charge_to_the_unit(amount: int, ppm: int) -> None:
    provider, platform = split(amount, commission_ppm=ppm)
    assert provider + platform == amount
    assert provider >= 0
    assert platform == amount * ppm // 10**6


@given(rates, tokens, tokens, st.data())
def test_a_charge_is_never_above_the_worst_case(rates: Rates, prompt: int, most: int, data: st.DataObject) -> None:
    output, cached = data.draw(st.integers(0, most)), data.draw(st.integers(0, prompt))
    worst = charge(rates, prompt_tokens=prompt, output_tokens=most)
    assert charge(rates, prompt_tokens=prompt, output_tokens=output, cached_tokens=cached) <= worst
