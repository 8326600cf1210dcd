"""Which tokens of which sequences the next step computes. No tensors.

Every running sequence has a row of the cache, and the rows in use are always the first ones: when a sequence leaves, the one in the
last row moves into its place. So a decoding batch is a plain slice of the cache, with nothing to gather.

The cache holds ``kv_tokens`` tokens, cut into rows of ``width`` tokens each. The width follows the longest running sequence (a power
of two), so short ones share the memory in many rows, and a long one gets a long row while there are few. A sequence is admitted only
where its row, at the most tokens it can come to, fits beside the others: nothing that runs is ever thrown out for lack of memory.
First come, first served: a sequence that does not fit yet holds back those behind it, so it is never starved.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final

from inference.engine.sequence import Sequence

MIN_WIDTH: Final = 64  # tokens


@dataclass(frozen=True, slots=True)
class Part:
    """``count`` tokens of a sequence, from ``sequence.computed`` on; the last of them ``samples`` the next token, or not (yet)."""

    sequence: Sequence
    row: int
    start: int
    count: int
    samples: bool


@dataclass(frozen=True, slots=True)
class Step:
    """What to do, in this order: resize the rows, then compute the parts. Parts of one token come first, by row."""

    parts: list[Part]
    width: int  # tokens a row
    keep: list[int]  # rows in use when the width changes: tokens computed in each


@dataclass(frozen=True, slots=True)
class Move:
    """Copy the first ``count`` tokens of one row over another."""

    source: int
    target: int
    count: int


class Scheduler:
    """Keeps the waiting line and the rows. Every method is meant for the one thread that steps."""

    def __init__(self, *, max_batch: int, max_step_tokens: int, kv_tokens: int, context_length: int) -> None:
        """Raises :class:`ValueError` where a step could not hold a token of every row, or the cache not one sequence."""
        if max_batch < 1 or max_step_tokens <= max_batch:
            raise ValueError(f"max_step_tokens {max_step_tokens} must be above max_batch {max_batch}")
        if kv_tokens < context_length:
            raise ValueError(f"kv_tokens {kv_tokens} must hold one sequence of {context_length} tokens")
        self.max_batch = max_batch
        self.max_step_tokens = max_step_tokens
        self.kv_tokens = kv_tokens
        self.context_length = context_length
        self.width = min(MIN_WIDTH, context_length)
        self.waiting: deque[Sequence] = deque()
        self.rows: list[Sequence] = []

    def add(self, sequence: Sequence) -> None:
        self.waiting.append(sequence)

    def sequences(self) -> list[Sequence]:
        """All that run or wait."""
        return [*self.rows, *self.waiting]

    def clear(self) -> None:
        self.rows.clear()
        self.waiting.clear()

    def schedule(self) -> Step:
        """Takes in who fits, and shares out the tokens of one step: those that generate first, prompts with what is left."""
        keep: list[int] = []
        budget = self.max_step_tokens
        parts = []
        for sequence in self.rows:
            if len(sequence.tokens) - sequence.computed == 1:
                parts.append(self._part(sequence, 1))
                budget -= 1
        for sequence in self.rows:
            if budget and len(sequence.tokens) - sequence.computed > 1:
                parts.append(self._part(sequence, budget))
                budget -= parts[-1].count
        while budget and self.waiting and self._admit(self.waiting[0], keep):
            parts.append(self._part(self.waiting.popleft(), budget))
            budget -= parts[-1].count
        parts.sort(key=lambda part: (part.count > 1, part.row))
        return Step(parts, self.width, keep)

    def remove(self, sequence: Sequence) -> Move | None:
        """Takes a sequence out, wherever it is. Returns the copy that keeps the rows in use together."""
        if sequence.row is None:
            self.waiting.remove(sequence)
            return None
        last = self.rows.pop()
        target, sequence.row = sequence.row, None
        if last is sequence:
            return None
        self.rows[target] = last
        last.row = target
        return Move(source=len(self.rows), target=target, count=last.computed)

    def _part(self, sequence: Sequence, budget: int) -> Part:
        assert sequence.row is not None  # only what runs is computed
        left = len(sequence.tokens) - sequence.computed
        count = min(left, budget)
        samples = count == left and not sequence.is_scored
        return Part(sequence, sequence.row, sequence.computed, count, samples)

    def _admit(self, sequence: Sequence, keep: list[int]) -> bool:
        """Gives the sequence a row, where there is one. ``keep`` is filled when the width changes under rows in use."""
        rows = len(self.rows) + 1
        width = max(self._width_for(other) for other in [*self.rows, sequence])
        if rows > self.max_batch or rows * width > self.kv_tokens:
            return False
        if width > self.width or rows * self.width > self.kv_tokens:
            if not keep:
                keep.extend(other.computed for other in self.rows)
            self.width = width
        sequence.row = len(self.rows)
        self.rows.append(sequence)
        return True

    def _width_for(self, sequence: Sequence) -> int:
        width = MIN_WIDTH
        while width < sequence.limit:
            width *= 2
        return min(width, self.context_length)
