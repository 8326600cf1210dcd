"""What is asked of the engine, what it answers, and a run in progress. No tensors."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from inference import wire
from inference.engine.detokenizer import Detokenizer

if TYPE_CHECKING:
    from inference.engine.adapters import Adapter


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """A run to serve. ``heard_ids`` are its output tokens from an earlier attempt: it goes on after them.

    ``lengths``, of the task "embed", cut ``prompt_ids`` into texts, as in :class:`inference.wire.CompletionSpec`. The task "score"
    makes no token, and tells how likely each of the prompt is. With ``ignores_end`` a run goes on after an end token, up to its length.
    """

    id: str
    prompt_ids: list[int]
    heard_ids: list[int]
    sampling: wire.Sampling
    deadline: float  # unix time, seconds: the run ends with "abort" by then
    task: Literal["generate", "embed", "score"] = "generate"
    lengths: list[int] = field(default_factory=list)
    ignores_end: bool = False
    adapter: str | None = None  # the digest of one that the engine holds; None: the base alone


@dataclass(frozen=True, kw_only=True, slots=True)
class Output:
    """What one step made of one request; the fields mean what they mean in :class:`inference.wire.Chunk`.

    ``scores``, of the task "score", are natural-log probabilities: of each token of the prompt but the first, after those before it.
    """

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
    embedding: str | None = None
    scores: tuple[float, ...] = ()


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
    eos_ids: frozenset[int]
    adapter: Adapter | None = None
    computed: int = 0
    scores: list[float] = field(default_factory=list)
    row: int | None = None
    prompt_tokens: int = field(init=False)

    def __post_init__(self) -> None:
        self.prompt_tokens = len(self.request.prompt_ids)

    @property
    def is_scored(self) -> bool:
        return self.request.task == "score"

    @property
    def output_tokens(self) -> int:
        return len(self.tokens) - self.prompt_tokens

    @property
    def usage(self) -> wire.Usage:
        return wire.Usage(prompt_tokens=self.prompt_tokens, completion_tokens=self.output_tokens)
