"""Sampling as a function: of logits, seed and position, in a distribution that is the model's own."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from inference import wire
from inference.engine.sampler import BAD_LOGITS, HEAD, Draw, likelihoods, sample, uniform

LOGITS = torch.tensor([[2.0, 1.0, 0.0, -1.0, 1.5]])


def draw(seed: int = 0, position: int = 0, **settings: float) -> Draw:
    return Draw(wire.Sampling(max_tokens=1, seed=seed, **settings), position)  # type: ignore[arg-type]


def frequencies(logits: torch.Tensor, count: int = 4000, **settings: float) -> torch.Tensor:
    rows = logits.expand(count, -1)
    tokens = sample(rows, [draw(seed=5, position=n, **settings) for n in range(count)])
    return torch.bincount(torch.tensor(tokens), minlength=logits.shape[1]) / count


@given(st.integers(), st.integers(0, 10**6))
def test_uniform_numbers_lie_in_the_unit_interval(seed: int, position: int) -> None:
    assert 0 <= uniform(seed, position) < 1


def test_uniform_numbers_are_spread_evenly_over_seeds_and_positions() -> None:
    for numbers in ([uniform(3, n) for n in range(20_000)], [uniform(n, 0) for n in range(20_000)]):
        counts = torch.histc(torch.tensor(numbers), bins=20, min=0, max=1)
        chi_square = ((counts - 1000) ** 2 / 1000).sum().item()
        assert chi_square < 45  # 19 degrees of freedom: one in 1,500 is above


def test_temperature_zero_takes_the_likeliest() -> None:
    assert sample(LOGITS, [draw(temperature=0.0)]) == [0]


def test_tokens_come_as_often_as_the_model_says() -> None:
    assert torch.allclose(frequencies(LOGITS), LOGITS.softmax(-1)[0], atol=0.03)


def test_temperature_sharpens_and_flattens() -> None:
    assert torch.allclose(frequencies(LOGITS, temperature=0.5), (LOGITS / 0.5).softmax(-1)[0], atol=0.03)
    assert torch.allclose(frequencies(LOGITS, temperature=3.0), (LOGITS / 3).softmax(-1)[0], atol=0.03)


def test_top_k_keeps_the_k_likeliest() -> None:
    expected = torch.tensor([2.0, float("-inf"), float("-inf"), float("-inf"), 1.5]).softmax(-1)
    assert torch.allclose(frequencies(LOGITS, top_k=2), expected, atol=0.03)


def test_top_p_keeps_the_fewest_that_reach_p() -> None:
    probabilities = LOGITS.softmax(-1)[0]  # 0: 0.46, 4: 0.28, 1: 0.17, ...
    kept = frequencies(LOGITS, top_p=0.7) > 0
    assert kept.tolist() == [True, False, False, False, True]
    assert probabilities[[0, 4]].sum() > 0.7 > probabilities[0]
    assert (frequencies(LOGITS, top_p=1e-9) > 0).tolist() == [True, False, False, False, False]


def test_tokens_that_tie_at_the_threshold_all_stay() -> None:
    kept = frequencies(torch.tensor([[1.0, 1.0, 1.0, 0.0]]), top_k=1) > 0
    assert kept.tolist() == [True, True, True, False]


def test_a_nucleus_wider_than_the_head_is_found_by_sorting_all() -> None:
    flat = torch.zeros(1, HEAD * 4) - torch.arange(HEAD * 4) * 1e-4
    kept = (frequencies(flat, count=4000, top_p=0.9) > 0).nonzero().max().item()
    assert HEAD * 3.4 < kept < HEAD * 3.7


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_a_row_is_sampled_alike_in_any_company(data: st.DataObject) -> None:
    generator = torch.Generator().manual_seed(data.draw(st.integers(0, 10**6)))
    logits = torch.randn(6, 300, generator=generator) * 3
    options = st.tuples(
        st.sampled_from([0.0, 0.7, 1.0, 1.8]), st.sampled_from([0, 1, 5, 200]), st.sampled_from([0.1, 0.9, 0.999, 1.0])
    )
    draws = []
    for row in range(6):
        temperature, top_k, top_p = data.draw(options)
        draws.append(draw(seed=row, position=row * 7, temperature=temperature, top_k=top_k, top_p=top_p))
    together = sample(logits, draws)
    assert together == [sample(logits[row : row + 1], [draws[row]])[0] for row in range(6)]


def test_logits_that_are_not_finite_give_no_token() -> None:
    bad = torch.stack([LOGITS[0], LOGITS[0].clone(), LOGITS[0]])
    bad[1, 2] = float("nan")
    for temperature in (0.0, 1.0):
        tokens = sample(bad, [draw(temperature=temperature)] * 3)
        assert tokens[1] == BAD_LOGITS
        assert tokens[0] == tokens[2] >= 0


def test_likelihoods_name_the_chosen_and_the_likeliest() -> None:
    [told] = likelihoods(LOGITS, [3], [2])
    logprobs = LOGITS.log_softmax(-1)[0].tolist()
    assert told.chosen == logprobs[3]
    assert told.top == [(0, logprobs[0]), (4, logprobs[4])]
