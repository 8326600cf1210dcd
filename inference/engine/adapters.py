"""Adapters beside the weights of their base: any number, many in one step, none merged.

A step packs the tokens of all sequences into one row, so a layer's own product is one for all; what the adapters change is added to
it. A prompt has one adapter, and is multiplied with its two matrices. Tokens that generate may each have another: they are sorted by
adapter, and those of all adapters of about one shape are two batched products with the stack of their matrices, as in Punica and
S-LoRA, but with plain torch. Nothing is gathered: a stack is made when an adapter joins, and kept while the same ones generate.
Whatever one adapter computes, be it not finite, never meets a token of another.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

import torch
from torch.nn.functional import linear, pad
from torch.utils.hooks import RemovableHandle
from transformers import PreTrainedModel

from inference.engine.detokenizer import TokenBytes
from inference.lora import LowRank

LONG: Final = 16  # tokens of one sequence in a step: so many are multiplied by themselves
SLACK: Final = 2  # a stack is made anew once it has so many times the adapters that are needed
SHARES: Final = 3  # an adapter is in memory by itself, and in a stack, there with up to twice its rank

Shape = frozenset[tuple[str, int]]


@dataclass(kw_only=True, eq=False, slots=True)
class Adapter:
    """What an adapter changes, by the layer's name, and how its tokens are read.

    ``shape`` is the same for adapters that can share a stack: their layers, each with its rank rounded up to a power of two.
    """

    digest: str
    layers: dict[str, LowRank]
    token_bytes: TokenBytes
    eos_ids: frozenset[int]
    shape: Shape = field(init=False)

    def __post_init__(self) -> None:
        ranks = {name: len(layer.down) for name, layer in self.layers.items()}
        self.shape = frozenset((name, 1 << (rank - 1).bit_length()) for name, rank in ranks.items())

    @property
    def memory_bytes(self) -> int:
        return SHARES * sum(layer.nbytes for layer in self.layers.values())


@dataclass(frozen=True, slots=True)
class Run:
    """``count`` tokens of the step, one after the other, with one adapter or none."""

    adapter: Adapter | None
    count: int


class Stack:
    """The matrices of adapters of one shape, by layer. Shapes: down (adapters, in, rank), up (adapters, rank, out)."""

    def __init__(self, adapters: Sequence[Adapter]) -> None:
        self.places = {adapter: place for place, adapter in enumerate(adapters)}
        self.layers = {name: _stacked([adapter.layers[name] for adapter in adapters]) for name in adapters[0].layers}


@dataclass(frozen=True, slots=True)
class _Prompt:
    """Tokens ``begin`` to ``end`` of the step."""

    adapter: Adapter
    begin: int
    end: int

    def add(self, layer: str, tokens: torch.Tensor, result: torch.Tensor, is_lookup: bool) -> None:
        change = self.adapter.layers.get(layer)
        if change:
            part = tokens[self.begin : self.end]
            inner = change.down[:, part].T if is_lookup else linear(part, change.down)
            result[self.begin : self.end].addmm_(inner, change.up)


@dataclass(frozen=True, slots=True)
class _Batch:
    """Tokens ``source`` of the step, as many for each adapter of the stack as the busiest has: the rest repeat some token.

    Neighbours in the order of the stack are a slice, which is read and changed where it is. For others there are ``kept``, the places in
    ``source`` of tokens that do not repeat, and ``target``, these tokens. Shapes: (adapters * most,), (tokens,), (tokens,) int64.
    """

    stack: Stack
    source: torch.Tensor | slice
    kept: torch.Tensor | None
    target: torch.Tensor | None

    def add(self, layer: str, tokens: torch.Tensor, result: torch.Tensor, is_lookup: bool) -> None:
        change = self.stack.layers.get(layer)
        if change is None:
            return
        count, part = len(change.down), tokens[self.source]
        if is_lookup:
            ids = part.view(count, -1, 1).expand(-1, -1, change.down.shape[-1])
            inner = change.down.gather(1, ids)
        else:
            inner = torch.bmm(part.view(count, -1, part.shape[-1]), change.down)
        if self.kept is None or self.target is None:
            result[self.source].view(count, -1, result.shape[-1]).baddbmm_(inner, change.up)
        else:
            added = torch.bmm(inner, change.up).view(-1, result.shape[-1])
            result.index_add_(0, self.target, added[self.kept])


class Deltas:
    """Adds the adapters of a step to what the layers of a model make. One thread computes; any may :meth:`forget`."""

    def __init__(self, model: PreTrainedModel, device: torch.device) -> None:
        self._model = model
        self._device = device
        self._lock = threading.Lock()  # held while a step is computed
        self._stacks: dict[Shape, Stack] = {}
        self._hooks: dict[str, RemovableHandle] = {}  # by layer
        self._parts: list[_Prompt | _Batch] = []

    @contextmanager
    def step(self, runs: Sequence[Run]) -> Iterator[None]:
        """What the model computes within has the adapters of ``runs``, which are all tokens of its input, in order."""
        with self._lock:
            self._make_stacks(runs)
            self.narrow(runs)
            try:
                yield
            finally:
                self._parts = []

    def narrow(self, runs: Sequence[Run]) -> None:
        """Within a step: from here on the input is only these of its tokens."""
        self._parts = self._divide(runs) if self._stacks else []

    def forget(self, adapter: Adapter) -> None:
        """Frees what is kept of it here. A sequence that still runs with it brings it back."""
        with self._lock:
            if any(adapter in stack.places for stack in self._stacks.values()):
                self._stacks.clear()
                self._unhook()

    def _make_stacks(self, runs: Sequence[Run]) -> None:
        """One for each shape of adapters in the step; those that still serve stay."""
        needed: dict[Shape, list[Adapter]] = {}
        for adapter in dict.fromkeys(run.adapter for run in runs):
            if adapter is not None:
                needed.setdefault(adapter.shape, []).append(adapter)
        for shape in self._stacks.keys() - needed.keys():
            del self._stacks[shape]
        for shape, adapters in needed.items():
            there = self._stacks[shape].places if shape in self._stacks else {}
            if not (there.keys() >= set(adapters) and len(there) <= SLACK * len(adapters)):
                self._stacks[shape] = Stack(adapters)
        layers = {layer for stack in self._stacks.values() for layer in stack.layers}
        if not layers:
            self._unhook()
        for layer in layers - self._hooks.keys():
            self._hooks[layer] = self._model.get_submodule(layer).register_forward_hook(self._hook(layer))

    def _unhook(self) -> None:
        for hook in self._hooks.values():
            hook.remove()
        self._hooks.clear()

    def _hook(self, layer: str) -> Callable[[torch.nn.Module, tuple[torch.Tensor, ...], torch.Tensor], None]:
        def add(module: torch.nn.Module, args: tuple[torch.Tensor, ...], made: torch.Tensor) -> None:
            """Shapes: args[0] (1, T, in), or (1, T) int64 of an embedding; made (1, T, out), changed in place. 1 may be missing."""
            is_lookup = isinstance(module, torch.nn.Embedding)
            tokens = args[0].reshape(-1) if is_lookup else args[0].reshape(-1, args[0].shape[-1])
            for part in self._parts:
                part.add(layer, tokens, made.view(-1, made.shape[-1]), is_lookup)

        return add

    def _divide(self, runs: Sequence[Run]) -> list[_Prompt | _Batch]:
        """Long parts, and whatever generates, by the shape of its adapter."""
        parts: list[_Prompt | _Batch] = []
        short: dict[Stack, dict[Adapter, list[int]]] = {}  # tokens
        begin = 0
        for run in _joined(runs):
            if run.adapter is not None and run.count >= LONG:
                parts.append(_Prompt(run.adapter, begin, begin + run.count))
            elif run.adapter is not None:
                stack = self._stacks[run.adapter.shape]
                short.setdefault(stack, {}).setdefault(run.adapter, []).extend(range(begin, begin + run.count))
            begin += run.count
        return parts + [_batch(stack, tokens, self._device) for stack, tokens in short.items()]


def _stacked(changes: list[LowRank]) -> LowRank:
    """Those of lower rank than others get rows of zeros."""
    rank = max(len(change.down) for change in changes)
    both = [[pad(m, (0, 0, 0, rank - len(m))) for m in (change.down, change.up)] for change in changes]
    downs, ups = zip(*both, strict=True)
    if len(changes) == 1:
        return LowRank(downs[0].T.unsqueeze(0), ups[0].unsqueeze(0))
    return LowRank(torch.stack(downs).transpose(1, 2), torch.stack(ups))


def _joined(runs: Sequence[Run]) -> list[Run]:
    """Neighbours with the same adapter as one."""
    joined: list[Run] = []
    for run in runs:
        if joined and joined[-1].adapter is run.adapter:
            joined[-1] = Run(run.adapter, joined[-1].count + run.count)
        else:
            joined.append(run)
    return joined


def _batch(stack: Stack, tokens: dict[Adapter, list[int]], device: torch.device) -> _Batch:
    most = max(map(len, tokens.values()))
    own = [tokens.get(adapter, []) for adapter in stack.places]
    some = next(iter(tokens.values()))[:1]
    source = [token for there in own for token in there + some * (most - len(there))]
    if source == list(range(source[0], source[0] + len(source))):
        return _Batch(stack, slice(source[0], source[0] + len(source)), None, None)
    kept = [place * most + nth for place, there in enumerate(own) for nth in range(len(there))]
    source_t, kept_t = torch.tensor(source, device=device), torch.tensor(kept, device=device)
    return _Batch(stack, source_t, kept_t, source_t[kept_t])
