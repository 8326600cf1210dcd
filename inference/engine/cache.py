"""The keys and values of every running sequence, in memory that is taken once.

One tensor holds ``kv_tokens`` tokens for each layer. It is looked at as rows of ``width`` tokens, one row a sequence; when the width
changes, the rows in use are copied and the rest is only looked at differently. Rows hold finite numbers always: a masked token has
weight zero, and zero times NaN would be NaN.
"""

from __future__ import annotations

import torch


class KVCache:
    """Rows of keys and values. Shape of a layer's view: (rows, kv_heads, width, head_dim)."""

    def __init__(
        self,
        *,
        layers: int,
        kv_heads: int,
        head_dim: int,
        kv_tokens: int,
        width: int,
        dtype: torch.dtype,
        device: torch.device,
    ) -> None:
        self._kv_heads, self._head_dim, self._kv_tokens = kv_heads, head_dim, kv_tokens
        # Shape: (layers, keys and values, kv_tokens * kv_heads * head_dim)
        self._memory = torch.zeros(layers, 2, kv_tokens * kv_heads * head_dim, dtype=dtype, device=device)
        self._look(width)

    @property
    def memory_bytes(self) -> int:
        return self._memory.nbytes

    def _look(self, width: int) -> None:
        rows = self._kv_tokens // width
        used = rows * self._kv_heads * width * self._head_dim
        view = self._memory[:, :, :used].view(-1, 2, rows, self._kv_heads, width, self._head_dim)
        self.width = width
        self.keys: list[torch.Tensor] = list(view[:, 0].unbind(0))
        self.values: list[torch.Tensor] = list(view[:, 1].unbind(0))
        self._view = view

    def resize(self, width: int, keep: list[int]) -> None:
        """Changes the width. ``keep``: for each row in use, the tokens in it."""
        rows, longest = len(keep), max(keep, default=0)
        kept = self._view[:, :, :rows, :, :longest].clone()
        self._look(width)
        self._view[:, :, :rows, :, :longest] = kept

    def move(self, source: int, target: int, count: int) -> None:
        """Copies the first ``count`` tokens of a row over another row."""
        self._view[:, :, target, :, :count] = self._view[:, :, source, :, :count]

    def clear(self, row: int) -> None:
        """Zeros a row that may hold numbers that are not finite."""
        self._view[:, :, row] = 0

    def write(
        self, layer: int, keys: torch.Tensor, values: torch.Tensor, rows: torch.Tensor, positions: torch.Tensor
    ) -> None:
        """Puts token t at ``positions[t]`` of row ``rows[t]``. Shapes: keys, values (T, kv_heads, head_dim); others (T,) int64."""
        self.keys[layer][rows, :, positions] = keys
        self.values[layer][rows, :, positions] = values
