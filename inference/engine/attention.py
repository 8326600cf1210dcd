"""Attention of a packed step over the rows of the cache, in the place of transformers' own.

A step packs the tokens of all its sequences into one row of input, so every matrix product of the model sees them all at once.
Attention alone must tell them apart: tokens that generate attend together, as one batch over neighbouring rows of the cache; the
tokens of a prompt attend to their own row.
"""

from __future__ import annotations

from dataclasses import dataclass
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
    """Tokens ``begin`` to ``end`` of the step, that attend to the first ``length`` tokens of rows ``row`` to ``row + rows``.

    ``mask`` is added to the scores, or is None where every token may look at all of ``length``, or, with ``causal``, at what
    is not ahead of it. Shape: (rows, 1, queries a row and kv head, length).
    """

    begin: int
    end: int
    row: int
    rows: int
    length: int
    mask: torch.Tensor | None
    causal: bool


@dataclass(frozen=True, slots=True)
class Packed:
    """A step as tensors. Shapes: all (T,) int64, ``last`` (samples,): the tokens whose logits are wanted."""

    cache: KVCache
    ids: torch.Tensor
    rows: torch.Tensor
    positions: torch.Tensor
    last: torch.Tensor
    spans: list[Span]


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
    return Packed(cache, ids_t, rows_t, positions_t, torch.tensor(last, dtype=torch.int64, device=device), spans)


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
        if even or causal:
            spans.append(Span(begin, end, first.row, len(run), longest, None, causal))
        else:
            length = min(-(-longest // LENGTH_MULTIPLE) * LENGTH_MULTIPLE, width)
            mask = _mask(positions[begin:end], length, rows=len(run), groups=groups, dtype=dtype)
            spans.append(Span(begin, end, first.row, len(run), length, mask, causal))
        begin, at = end, until
    return spans


def _continues(before: Part, part: Part) -> bool:
    return part.count == 1 and part.row == before.row + 1


def _mask(positions: torch.Tensor, length: int, *, rows: int, groups: int, dtype: torch.dtype) -> torch.Tensor:
    """0 where a token may look, -inf ahead of it. Shape: (rows, 1, groups * tokens a row, length)."""
    ahead = torch.arange(length, device=positions.device) > positions.view(rows, 1, 1, -1, 1)
    mask = torch.zeros(ahead.shape, dtype=dtype, device=positions.device).masked_fill_(ahead, float("-inf"))
    return mask.expand(-1, -1, groups, -1, -1).reshape(rows, 1, -1, length)


def attend(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    packed: Packed,
    scaling: float | None = None,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """Shapes: query (1, heads, T, head_dim), key and value (1, kv_heads, T, head_dim); returns (1, T, heads, head_dim)."""
    layer = module.layer_idx
    assert isinstance(layer, int)
    cache, query = packed.cache, query[0]
    cache.write(layer, key[0].transpose(0, 1), value[0].transpose(0, 1), packed.rows, packed.positions)
    parts = [
        _attend_span(query[:, s.begin : s.end], cache.keys[layer], cache.values[layer], s, scaling)
        for s in packed.spans
    ]
    return (parts[0] if len(parts) == 1 else torch.cat(parts)).unsqueeze(0), None


def _attend_span(
    query: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, span: Span, scaling: float | None
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
    k = keys[span.row : span.row + span.rows, :, : span.length]
    v = values[span.row : span.row + span.rows, :, : span.length]
    out = scaled_dot_product_attention(q, k, v, attn_mask=span.mask, is_causal=span.causal, scale=scaling)
    return out.view(span.rows, heads, count, head_dim).transpose(1, 2).reshape(tokens, heads, head_dim)


AttentionInterface.register(NAME, attend)
