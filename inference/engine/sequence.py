"""What is asked of the engine, what it answers, and a run in progress. No tensors."""

from __future__ import annotations

from dataclasses import dataclass, field

from inference import wire
from inference.engine.detokenizer import Detokenizer


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """A run to serve. ``heard_ids`` are its output tokens from an earlier attempt: it goes on after them."""

    id: str
    prompt_ids: list[int]
    heard_ids: list[int]
    sampling: wire.Sampling
    deadline: float  # unix time, seconds: the run ends with "abort" by then


@dataclass(frozen=True, kw_only=True, slots=True)
class Output:
    """What one step made of one request; the fields mean what they mean in :class:`inference.wire.Chunk`."""

    id: str
    index: int = 0
    token_ids: tuple[int, ...] = ()
    text: str = ""
    logprobs: tuple[wire.TokenLogprob, ...] = ()
    finish_reason: wire.FinishReason | None = None
    stop_string: str | None = None
    usage: wire.Usage | None = None
    error_code: str | None = None
    error: str | None = None


@dataclass(kw_only=True, slots=True, eq=False)
class Sequence:
    """A request on its way through the engine.

    ``tokens`` are the prompt's and the output's; keys and values of the first ``computed`` of them are in the cache, in row
    ``row``. A sequence without a row waits.
    """

    request: Request
    tokens: list[int]
    limit: int  # the most tokens that it may come to, prompt included
    detokenizer: Detokenizer
    computed: int = 0
    row: int | None = None
    prompt_tokens: int = field(init=False)

    def __post_init__(self) -> None:
        self.prompt_tokens = len(self.request.prompt_ids)

    @property
    def output_tokens(self) -> int:
        return len(self.tokens) - self.prompt_tokens

    @property
    def usage(self) -> wire.Usage:
        return wire.Usage(prompt_tokens=self.prompt_tokens, completion_tokens=self.output_tokens)
