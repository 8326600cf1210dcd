"""The messages of a run, and the names of the places where they are left. Standard library only.

The store sends a :class:`CompletionSpec` as the one argument of the Celery task ``serve.complete``. The worker answers with
:class:`Chunk` messages on a Redis stream (``reply_stream``), one stream per gateway process: every entry holds, under the field
``m``, a JSON array of chunks of any number of runs, so that one engine step costs one ``XADD``. To stop a run, the store publishes
a :class:`Abort` on ``ABORT_CHANNEL``.

An *attempt* to serve a run carries an ``epoch``, from 1. Whoever reads the replies listens to the newest epoch only. Before a worker
starts an attempt it claims it (``claim_key``): an epoch not above the stored one is dropped, so a message delivered twice, or one
the store has given up on, costs nothing.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Literal

from inference.wire.releases import WIRE_VERSION, ReleaseRef, WireError, check_version

SERVE_TASK: Final = "serve.complete"
COLD_QUEUE: Final = "serve.cold"
ABORT_CHANNEL: Final = "serve.abort"
REPLICAS: Final = (
    "replicas"  # a Redis set: the workers that report. So that nobody has to scan the keys of a busy server
)
REPLICA_PREFIX: Final = "replica:"
KEEPALIVE_INTERVAL_S: Final = 1.0  # a worker says this often which attempts it has in hand
REPLICA_TTL_S: Final = 5  # a replica that has not reported for this long is gone
CLAIM_TTL_S: Final = 3600

FinishReason = Literal["stop", "length", "abort", "error"]
Task = Literal["generate", "embed"]


def serve_queue(digest: str) -> str:
    """The Celery queue of a release of full weights that is resident somewhere, and of all its adapters."""
    return f"serve.{digest.removeprefix('sha256:')[:32]}"


def reply_stream(gateway_id: str) -> str:
    """The Redis stream on which one gateway process hears of its runs."""
    return f"reply:{gateway_id}"


def claim_key(run_id: str) -> str:
    """The Redis key of the highest epoch of a run that was started or given up."""
    return f"claim:{run_id}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Sampling:
    """How the next token is chosen. ``temperature`` 0 is greedy."""

    max_tokens: int
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0  # 0: all
    seed: int = 0
    stop: tuple[str, ...] = ()
    logprobs: int | None = None  # None: none; n: the chosen token's and the n likeliest


@dataclass(frozen=True, kw_only=True, slots=True)
class CompletionSpec:
    """One attempt to serve one run.

    With the task "embed", ``prompt_ids`` are the tokens of one text or more, one after the other, ``lengths`` how many belong to
    each; the answer is one chunk with an ``embedding``, and of ``sampling`` nothing counts.
    """

    run_id: str
    epoch: int
    reply_to: str  # a reply_stream
    release: ReleaseRef
    prompt_ids: list[int]
    heard_ids: list[int] = field(default_factory=list)  # output tokens of earlier attempts: go on after them
    sampling: Sampling
    deadline: float  # unix time, seconds: end with "abort" by then
    task: Task = "generate"
    lengths: list[int] = field(default_factory=list)  # of the task "embed": tokens of each text
    version: int = WIRE_VERSION

    def as_json(self) -> dict[str, Any]:
        """A dict of JSON types, the argument of ``serve.complete``."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> CompletionSpec:
        """Raises :class:`WireError` on a message of another version or shape."""
        check_version(data)
        try:
            sampling = Sampling(**{**data["sampling"], "stop": tuple(data["sampling"]["stop"])})
            return cls(**{**data, "release": ReleaseRef.from_json(data["release"]), "sampling": sampling})
        except (KeyError, TypeError, AttributeError) as error:
            raise WireError(f"malformed CompletionSpec: {error}") from error


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenLogprob:
    """A token's text, its natural-log probability, and the likeliest tokens in its place as (id, text, logprob)."""

    token_id: int
    text: str
    logprob: float
    top: tuple[tuple[int, str, float], ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Usage:
    """Tokens that a run used. ``completion_tokens`` counts every token made, a final end-of-text token included."""

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Chunk:
    """Something that happened to an attempt.

    ``index`` is the position of the first of ``token_ids`` among the run's output tokens, from 0. ``text`` is what may be shown
    now; it can lag behind the tokens (half of a UTF-8 sequence, the beginning of a stop string) and is a function of all the
    run's output tokens so far, so it is the same whoever makes it. A chunk without tokens, finish or error is a keepalive:
    the attempt is queued in the engine or its model is loading (``loading``, 0 to 1). The last chunk has ``finish_reason``
    and ``usage`` (of the whole run, ``heard_ids`` included). With finish_reason "error", ``error_code`` and ``error`` say what.
    ``embedding`` answers the task "embed": base64 of little-endian float32, the vectors of all texts one after the other.
    """

    run_id: str
    epoch: int
    worker: str = ""
    index: int = 0
    token_ids: tuple[int, ...] = ()
    text: str = ""
    logprobs: tuple[TokenLogprob, ...] = ()
    loading: float | None = None
    finish_reason: FinishReason | None = None
    stop_string: str | None = None
    usage: Usage | None = None
    error_code: str | None = None
    error: str | None = None
    embedding: str | None = None


def _chunk_to_json(chunk: Chunk) -> dict[str, Any]:
    message: dict[str, Any] = {"r": chunk.run_id, "e": chunk.epoch}
    if chunk.worker:
        message["w"] = chunk.worker
    if chunk.token_ids:
        message["i"], message["t"] = chunk.index, chunk.token_ids
    if chunk.text:
        message["x"] = chunk.text
    if chunk.logprobs:
        message["l"] = [(p.token_id, p.text, p.logprob, p.top) for p in chunk.logprobs]
    if chunk.loading is not None:
        message["g"] = chunk.loading
    if chunk.finish_reason:
        message["f"], message["s"] = chunk.finish_reason, chunk.stop_string
        message["c"], message["m"] = chunk.error_code, chunk.error
    if chunk.embedding:
        message["v"] = chunk.embedding
    if chunk.usage:
        message["u"] = (chunk.usage.prompt_tokens, chunk.usage.completion_tokens, chunk.usage.cached_tokens)
    return message


def _chunk_from_json(m: dict[str, Any]) -> Chunk:
    logprobs = tuple(
        TokenLogprob(token_id=i, text=t, logprob=p, top=tuple((a, b, c) for a, b, c in top))
        for i, t, p, top in m.get("l", ())
    )
    usage = m.get("u")
    return Chunk(
        run_id=m["r"],
        epoch=m["e"],
        worker=m.get("w", ""),
        index=m.get("i", 0),
        token_ids=tuple(m.get("t", ())),
        text=m.get("x", ""),
        logprobs=logprobs,
        loading=m.get("g"),
        finish_reason=m.get("f"),
        stop_string=m.get("s"),
        usage=Usage(prompt_tokens=usage[0], completion_tokens=usage[1], cached_tokens=usage[2]) if usage else None,
        error_code=m.get("c"),
        error=m.get("m"),
        embedding=m.get("v"),
    )


def encode_chunks(chunks: list[Chunk]) -> bytes:
    """The value of the field ``m`` of one entry of a reply stream."""
    return json.dumps([_chunk_to_json(c) for c in chunks], separators=(",", ":"), ensure_ascii=False).encode()


def decode_chunks(data: bytes) -> list[Chunk]:
    """Raises :class:`WireError` where ``data`` is not what :func:`encode_chunks` makes."""
    try:
        return [_chunk_from_json(m) for m in json.loads(data)]
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise WireError(f"malformed chunks: {error}") from error


@dataclass(frozen=True, kw_only=True, slots=True)
class Abort:
    """Stop every attempt of a run up to ``epoch``."""

    run_id: str
    epoch: int

    def encode(self) -> str:
        return f"{self.epoch} {self.run_id}"

    @classmethod
    def decode(cls, data: str) -> Abort:
        """Raises :class:`WireError`."""
        epoch, _, run_id = data.partition(" ")
        if not epoch.isdigit() or not run_id:
            raise WireError(f"malformed abort: {data!r}")
        return cls(run_id=run_id, epoch=int(epoch))


@dataclass(frozen=True, kw_only=True, slots=True)
class Replica:
    """What a worker reports of itself every second: its name added to the set REPLICAS, this as JSON under REPLICA_PREFIX + its name.

    The latter has REPLICA_TTL_S to live, so a name without a report is a worker that is gone.
    """

    worker: str
    device: str  # "cpu", "cuda:0 NVIDIA H100"
    resident: tuple[str, ...]  # digests of the releases that it serves
    loading: tuple[str, ...]
    running: int  # attempts in the engine
    waiting: int  # attempts accepted and not yet in the batch
    slots: int  # attempts it can take at once
    memory_used: int  # bytes
    memory_limit: int  # bytes
    tokens_per_s: float  # over the last seconds
    at: float  # unix time
    tune_slots: int = 0  # trainings that it can have in hand at once
    tuning: tuple[int, ...] = ()  # ids of the jobs that it has in hand

    def encode(self) -> str:
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def decode(cls, data: str | bytes) -> Replica:
        """Raises :class:`WireError`."""
        try:
            m = json.loads(data)
            lists = {name: tuple(m.get(name, ())) for name in ("resident", "loading", "tuning")}
            return cls(**{**m, **lists})
        except (ValueError, KeyError, TypeError) as error:
            raise WireError(f"malformed replica report: {error}") from error
