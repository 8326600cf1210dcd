"""Attention of a packed step over the rows of the cache, in the place of transformers' own.

A step packs the tokens of all its sequences into one row of input, so every matrix product of the model sees them all at once.
Attention alone must tell them apart: tokens that generate attend together, as one batch over neighbouring rows of the cache; the
tokens of a prompt attend to their own row. A layer with a sliding window sees the last tokens only; its keys are in the cache all the same.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Final

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface

from inference.engine.cache import KVCache
from inference.engine.scheduler import Part, Step

NAME: Final = "cache_rows"  # transformers makes no mask for an attention it does not know
LENGTH_MULTIPLE: Final = 16  # tokens: GPU kernels want a mask that is aligned


@dataclass(frozen=True, slots=True)
class Span:
    """Tokens ``begin`` to ``end`` of the step, that attend to tokens ``since`` to ``length`` of rows ``row`` to ``row + rows``.

    The earliest of them is at position ``first``. ``mask`` is added to the scores, or is None where every token may look at all
    of these keys, or, with ``causal``, at what is not ahead of it. Shape: (rows, 1, queries a row and kv head, length - since).
    """

    begin: int
    end: int
    row: int
    rows: int
    first: int
    length: int
    mask: torch.Tensor | None
    causal: bool
    since: int = 0


@dataclass(frozen=True, slots=True)
class Packed:
    """A step as tensors. Shapes: all (T,) int64, ``last`` (samples,): the tokens whose logits are wanted.

    ``groups``: query heads to one kv head. ``spans`` are those of layers that see everything.
    """

    cache: KVCache
    ids: torch.Tensor
    rows: torch.Tensor
    positions: torch.Tensor
    last: torch.Tensor
    groups: int
    dtype: torch.dtype
    spans: list[Span]
    _windowed: dict[int, list[Span]] = field(default_factory=dict)

    def spans_within(self, window: int | None) -> list[Span]:
        """The spans of a layer whose tokens see themselves and the ``window - 1`` tokens before; None: everything."""
        if window is None:
            return self.spans
        if window not in self._windowed:
            self._windowed[window] = [self._narrowed(span, window) for span in self.spans]
        return self._windowed[window]

    def _narrowed(self, span: Span, window: int) -> Span:
        if span.length <= window:
            return span
        since = max(0, span.first - window + 1) // LENGTH_MULTIPLE * LENGTH_MULTIPLE
        length = min(-(-span.length // LENGTH_MULTIPLE) * LENGTH_MULTIPLE, self.cache.width)
        keys = torch.arange(since, length, device=self.positions.device)
        own = self.positions[span.begin : span.end].view(span.rows, 1, 1, -1, 1)
        mask = _mask((keys > own) | (keys <= own - window), groups=self.groups, dtype=self.dtype)
        return replace(span, since=since, length=length, mask=mask, causal=False)


def pack(step: Step, cache: KVCache, *, groups: int, dtype: torch.dtype, device: torch.device) -> Packed:
    """``groups``: query heads to one kv head."""
    ids: list[int] = []
    rows: list[int] = []
    positions: list[int] = []
    last: list[int] = []
    for part in step.parts:
        end = part.start + part.count
        ids += part.sequence.tokens[part.start : end]
        rows += [part.row] * part.count
        positions += range(part.start, end)
        if part.samples:
            last.append(len(ids) - 1)
    ids_t, rows_t, positions_t = torch.tensor([ids, rows, positions], device=device).unbind(0)
    spans = _spans(step.parts, positions_t, width=step.width, groups=groups, dtype=dtype)
    last_t = torch.tensor(last, dtype=torch.int64, device=device)
    return Packed(cache, ids_t, rows_t, positions_t, last_t, groups, dtype, spans)


def _spans(parts: list[Part], positions: torch.Tensor, *, width: int, groups: int, dtype: torch.dtype) -> list[Span]:
    spans = []
    begin = at = 0
    while at < len(parts):
        first, until = parts[at], at + 1
        while first.count == 1 and until < len(parts) and _continues(parts[until - 1], parts[until]):
            until += 1
        run = parts[at:until]
        end = begin + sum(part.count for part in run)
        longest = max(part.start + part.count for part in run)
        even = first.count == 1 and all(part.start + 1 == longest for part in run)
        causal = first.start == 0 and first.count > 1 and groups == 1  # packed query heads would look ahead
        earliest = min(part.start for part in run)
        if even or causal:
            spans.append(Span(begin, end, first.row, len(run), earliest, longest, None, causal))
        else:
            length = min(-(-longest // LENGTH_MULTIPLE) * LENGTH_MULTIPLE, width)
            own = positions[begin:end].view(len(run), 1, 1, -1, 1)
            mask = _mask(torch.arange(length, device=positions.device) > own, groups=groups, dtype=dtype)
            spans.append(Span(begin, end, first.row, len(run), earliest, length, mask, causal))
        begin, at = end, until
    return spans


def _continues(before: Part, part: Part) -> bool:
    return part.count == 1 and part.row == before.row + 1


def _mask(hidden: torch.Tensor, *, groups: int, dtype: torch.dtype) -> torch.Tensor:
    """-inf where a token may not look, else 0. Shapes: hidden (rows, 1, 1, tokens, keys), returns (rows, 1, groups * tokens, keys)."""
    mask = torch.zeros(hidden.shape, dtype=dtype, device=hidden.device).masked_fill_(hidden, float("-inf"))
    return mask.expand(-1, -1, groups, -1, -1).reshape(len(hidden), 1, -1, hidden.shape[-1])


def attend(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    packed: Packed,
    scaling: float | None = None,
    sliding_window: int | None = None,
    softcap: float | None = None,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """What a layer of transformers calls. ``sliding_window``: tokens that it sees; ``softcap``: scores s become c * tanh(s / c).

    Shapes: query (1, heads, T, head_dim), key and value (1, kv_heads, T, head_dim); returns (1, T, heads, head_dim).
    """
    layer = module.layer_idx
    assert isinstance(layer, int)
    cache, query = packed.cache, query[0]
    cache.write(layer, key[0].transpose(0, 1), value[0].transpose(0, 1), packed.rows, packed.positions)
    parts = [
        _attend_span(query[:, s.begin : s.end], cache.keys[layer], cache.values[layer], s, scaling, softcap)
        for s in packed.spans_within(sliding_window)
    ]
    return (parts[0] if len(parts) == 1 else torch.cat(parts)).unsqueeze(0), None


def _attend_span(
    query: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    span: Span,
    scaling: float | None,
    softcap: float | None,
) -> torch.Tensor:
    """Query heads that share a kv head are packed as further queries, so keys need no copies. Shape: query (heads, t, head_dim)."""
    heads, tokens, head_dim = query.shape
    kv_heads, count = keys.shape[1], tokens // span.rows
    # (heads, t, head_dim) -> (rows, kv_heads, groups * count, head_dim)
    q = (
        query.view(kv_heads, -1, span.rows, count, head_dim)
        .permute(2, 0, 1, 3, 4)
        .reshape(span.rows, kv_heads, -1, head_dim)
    )
    k = keys[span.row : span.row + span.rows, :, span.since : span.length]
    v = values[span.row : span.row + span.rows, :, span.since : span.length]
    if softcap is None:
        out = scaled_dot_product_attention(q, k, v, attn_mask=span.mask, is_causal=span.causal, scale=scaling)
    else:
        out = _capped_attention(q, k, v, span, scaling, softcap)
    return out.view(span.rows, heads, count, head_dim).transpose(1, 2).reshape(tokens, heads, head_dim)


def _capped_attention(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, span: Span, scaling: float | None, softcap: float
) -> torch.Tensor:
    """Gemma 2's attention, which torch's own does not know. Shapes: q (rows, kv_heads, n, head_dim), k and v (..., keys, ...)."""
    scores = q @ k.transpose(-1, -2) * (q.shape[-1] ** -0.5 if scaling is None else scaling)
    scores = torch.tanh(scores / softcap) * softcap
    if span.causal:
        ahead = torch.ones(scores.shape[-2:], dtype=torch.bool, device=q.device).triu(1)
        scores = scores.masked_fill(ahead, float("-inf"))
    elif span.mask is not None:
        scores = scores + span.mask
    return scores.softmax(dim=-1, dtype=torch.float32).to(q.dtype) @ v


AttentionInterface.register(NAME, attend)
