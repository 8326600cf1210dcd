"""Logits to tokens. What is drawn at a position is a function of the logits, the seed and the position, and of nothing else.

The random number is made by counting, not by a stream: splitmix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number
generators", 2014) of seed and position. It is turned into a token by inverting the cumulative distribution in the order of the
vocabulary. Top-k and top-p come down to one threshold a row, and tokens that tie with it stay: so the outcome does not hang on how
a sort breaks ties, nor on what else is in the batch.
"""

from __future__ import annotations

from collections.abc import Sequence as Seq
from dataclasses import dataclass
from typing import Final

import torch

from inference import wire

BAD_LOGITS: Final = -1  # in place of a token: the logits were not finite
HEAD: Final = 128  # likeliest tokens that are looked at before the whole vocabulary is sorted
_GOLDEN: Final = 0x9E3779B97F4A7C15
_MASK: Final = 2**64 - 1


def _mix(z: int) -> int:
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    return z ^ (z >> 31)


def uniform(seed: int, position: int) -> float:
    """A number in [0, 1) with 53 random bits. ``position``: index of the output token, from 0."""
    key = _mix((seed + _GOLDEN) & _MASK)
    return (_mix((key + (position + 1) * _GOLDEN) & _MASK) >> 11) * 2.0**-53


@dataclass(frozen=True, slots=True)
class Draw:
    """How one row is sampled, and at which position of its output."""

    sampling: wire.Sampling
    position: int


@dataclass(frozen=True, slots=True)
class Likelihood:
    """Natural-log probabilities of a row, before temperature: of the chosen token, and of the likeliest (id, logprob)."""

    chosen: float
    top: list[tuple[int, float]]


def sample(logits: torch.Tensor, draws: Seq[Draw]) -> list[int]:
    """Returns a token id a row, or BAD_LOGITS. Shape: logits (B, V), any float dtype."""
    peaks, tokens = logits.max(dim=-1)
    drawn = [row for row, draw in enumerate(draws) if draw.sampling.temperature > 0]
    if drawn:
        rows = logits if len(drawn) == len(draws) else logits[drawn]
        chosen = _draw(rows.float(), [draws[row] for row in drawn])
        tokens = (
            chosen
            if len(drawn) == len(draws)
            else tokens.index_copy(0, torch.tensor(drawn, device=tokens.device), chosen)
        )
    result: list[int] = tokens.masked_fill(~peaks.isfinite(), BAD_LOGITS).tolist()
    return result


def _draw(logits: torch.Tensor, draws: list[Draw]) -> torch.Tensor:
    """Inverse-transform sampling. Shapes: logits (B, V) float32; returns (B,) int64."""
    settings = torch.tensor(
        [(d.sampling.temperature, uniform(d.sampling.seed, d.position)) for d in draws],
        dtype=torch.float64,
        device=logits.device,
    )
    scaled = (logits - logits.amax(dim=-1, keepdim=True)) / settings[:, :1].float()
    if any(d.sampling.top_k > 0 or d.sampling.top_p < 1 for d in draws):
        scaled = scaled.masked_fill(scaled < _thresholds(scaled, draws), float("-inf"))
    cumulative = scaled.double().exp_().cumsum(dim=-1)
    total = cumulative[:, -1:]
    # Rounding must not lift a target to the total: it would fall behind the last token.
    target = torch.minimum(settings[:, 1:] * total, total * (1 - 2.0**-52))
    return torch.searchsorted(cumulative, target, right=True).squeeze(1).clamp_(max=logits.shape[1] - 1)


def _thresholds(scaled: torch.Tensor, draws: list[Draw]) -> torch.Tensor:
    """The least scaled logit that stays in each row. Shape: (B, 1)."""
    vocab = scaled.shape[1]
    top_k = torch.tensor([[d.sampling.top_k or vocab] for d in draws], device=scaled.device).clamp_(max=vocab)
    top_p = torch.tensor([[min(d.sampling.top_p, 1.0)] for d in draws], dtype=torch.float64, device=scaled.device)
    least = torch.where((top_k == vocab) & (top_p >= 1), float("-inf"), 0.0)
    limited = max((d.sampling.top_k for d in draws), default=0)
    count = min(vocab, max(HEAD, limited))
    values = scaled.topk(count, dim=-1).values
    mass = scaled.double().exp().sum(dim=-1, keepdim=True)
    kept, enough = _nucleus(values, mass, top_k, top_p)
    if not bool((enough | (least < 0)).all()):
        kept, _ = _nucleus(scaled.sort(dim=-1, descending=True).values, mass, top_k, top_p)
    return torch.where(least < 0, least, kept.double()).to(scaled.dtype)


def _nucleus(
    values: torch.Tensor, mass: torch.Tensor, top_k: torch.Tensor, top_p: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Top-k, then top-p of what is left, over logits in falling order.

    Shapes: values (B, n), mass (B, 1) the sum of exp over the whole vocabulary. Returns the least value that stays (B, 1), and
    whether n values were enough to tell (B, 1).
    """
    ranks = torch.arange(values.shape[1], device=values.device)
    weights = values.double().exp().masked_fill(ranks >= top_k, 0.0)
    cumulative = weights.cumsum(dim=-1)
    by_k = top_k <= values.shape[1]
    goal = top_p * torch.where(by_k, cumulative[:, -1:], mass)
    before = cumulative - weights  # a token stays where those above it have not reached the goal
    stays = ((before < goal) & (ranks < top_k)).sum(dim=-1, keepdim=True).clamp_(min=1)
    enough = by_k | (cumulative[:, -1:] >= goal)
    return values.gather(1, stays - 1), enough


def likelihoods(logits: torch.Tensor, tokens: list[int], tops: list[int]) -> list[Likelihood]:
    """For each row the logprob of its token and of the ``tops[row]`` likeliest. Shape: logits (B, V)."""
    logprobs = logits.float().log_softmax(dim=-1)
    chosen = logprobs.gather(1, torch.tensor(tokens, device=logits.device).unsqueeze(1)).squeeze(1).tolist()
    values, ids = logprobs.topk(max(1, *tops) if tops else 1, dim=-1)
    pairs = zip(chosen, ids.tolist(), values.tolist(), tops, strict=True)
    return [Likelihood(one, list(zip(row[:n], row_values[:n], strict=True))) for one, row, row_values, n in pairs]
