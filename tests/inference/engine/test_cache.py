"""Rows keep what is in them, however they are cut."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.engine.cache import KVCache

LAYERS, HEADS, DIM = 2, 3, 4


def cache_of(width: int, kv_tokens: int = 64) -> KVCache:
    cpu = torch.device("cpu")
    return KVCache(
        layers=LAYERS, kv_heads=HEADS, head_dim=DIM, kv_tokens=kv_tokens, width=width, dtype=torch.float32, device=cpu
    )


def fill(cache: KVCache, row: int, count: int) -> list[torch.Tensor]:
    """Writes random keys and values into the first positions of a row. Returns a tensor a layer. Shape: (2, count, heads, dim)."""
    rows, positions = torch.full((count,), row), torch.arange(count)
    written = [torch.rand(2, count, HEADS, DIM) for _ in range(LAYERS)]
    for layer, (keys, values) in enumerate(written):
        cache.write(layer, keys, values, rows, positions)
    return written


def holds(cache: KVCache, row: int, written: list[torch.Tensor]) -> bool:
    count = written[0].shape[1]
    return all(
        torch.equal(memory[row, :, :count].transpose(0, 1), part)
        for layer, (keys, values) in enumerate(written)
        for memory, part in ((cache.keys[layer], keys), (cache.values[layer], values))
    )


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 8), min_size=1, max_size=4), st.permutations([8, 16, 12]))
def test_rows_survive_every_change_of_width(counts: list[int], widths: list[int]) -> None:
    cache = cache_of(widths[0])
    written = [fill(cache, row, count) for row, count in enumerate(counts)]
    for width in widths[1:]:
        cache.resize(width, counts)
        assert cache.keys[0].shape == (64 // width, HEADS, width, DIM)
        assert all(holds(cache, row, rows) for row, rows in enumerate(written))


def test_a_row_moves_with_what_is_in_it() -> None:
    cache = cache_of(8)
    kept, written = fill(cache, 0, 5), fill(cache, 3, 6)
    cache.move(3, 1, 6)
    assert holds(cache, 1, written)
    assert holds(cache, 0, kept)


def test_a_cleared_row_holds_zeros_and_its_neighbours_stay() -> None:
    cache = cache_of(8)
    written = fill(cache, 1, 8)
    fill(cache, 2, 8)
    cache.clear(2)
    assert not cache.keys[1][2].any()
    assert holds(cache, 1, written)


def test_the_memory_is_what_the_tokens_need() -> None:
    assert cache_of(8).memory_bytes == LAYERS * 2 * 64 * HEADS * DIM * 4
