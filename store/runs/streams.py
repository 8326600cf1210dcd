"""What one run has said so far: fed by the reader, drained by whoever answers the client."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import TYPE_CHECKING

from inference import wire
from store.errors import StoreError
from store.runs.books import ReplayFound

if TYPE_CHECKING:
    from store.runs.calls import Call


SETTLE_PATIENCE_S = 1.0


class Heard(Enum):
    """What a chunk was to its stream."""

    STALE = auto()  # of an attempt that was given up, or after the end
    NEWS = auto()  # tokens, a keepalive, or something heard before
    GAP = auto()  # something before it was lost
    END = auto()  # the last chunk of the run
    ERROR = auto()  # the worker gave the attempt up


@dataclass(frozen=True, kw_only=True, slots=True)
class Piece:
    """What may be shown to the client next."""

    text: str
    token_ids: tuple[int, ...]
    logprobs: tuple[wire.TokenLogprob, ...]
    loading: float | None  # 0 to 1 while the model is on its way into a worker's memory
    embedding: str | None = None  # see inference.wire.Chunk


@dataclass(frozen=True, kw_only=True, slots=True)
class Ending:
    """How a run ended for its client. With ``error``, nothing more can be said."""

    finish_reason: str
    usage: wire.Usage
    error: StoreError | None = None


class RunStream:
    """One run from its opening to its end. An async iterator of :class:`Piece`; afterwards ``ending`` is set.

    Times are of ``time.monotonic``, in seconds.
    """

    def __init__(self, call: Call, *, run_id: str, max_tokens: int) -> None:
        self.call = call
        self.run_id = run_id
        self.max_tokens = max_tokens
        self.opened_at = time.monotonic()
        self.is_replay = False
        self.is_abandoned = False  # the client is gone
        self.ending: Ending | None = None
        self.settled: asyncio.Task[None] | None = None
        self.charge_nano: int | None = None  # once it is settled
        self.position = b"0-0"  # where the reply stream was when the run was opened
        # The current attempt.
        self.epoch = 1
        self.failures = 0  # attempts that ended in an error
        self.worker = ""
        self.sent_at = self.opened_at
        self.last_heard: float | None = None  # None: the current attempt has not been heard of
        # The run.
        self.heard_ids: list[int] = []
        self.was_started = False  # some attempt was heard of
        self.waiting_since: float | None = self.opened_at  # for a worker; None: one has it in hand
        self.first_token_at: float | None = None
        self.chunks: list[wire.Chunk] = []  # with tokens or text, in order
        # The client.
        self._reads_whole = False  # nothing is shown before the end
        self._unread: deque[wire.Chunk] = deque()
        self._wakeup: asyncio.Future[None] | None = None

    @classmethod
    def replayed(cls, call: Call, found: ReplayFound) -> RunStream:
        """The stream of a run that was answered before, to be read again."""
        stream = cls(call, run_id=found.run_id.hex, max_tokens=found.max_tokens)
        stream.is_replay = True
        chunks = wire.decode_chunks(found.chunks)
        stream._unread.extend(c for c in chunks if c.token_ids or c.text or c.embedding)
        usage = chunks[-1].usage or wire.Usage(prompt_tokens=found.prompt_tokens, completion_tokens=0)
        stream.ending = Ending(finish_reason=chunks[-1].finish_reason or "length", usage=usage)
        return stream

    def feed(self, chunk: wire.Chunk, now: float) -> Heard:
        """Takes in what a worker said; the caller acts on the answer."""
        if chunk.epoch != self.epoch or self.ending:
            return Heard.STALE
        self.last_heard, self.was_started, self.waiting_since = now, True, None
        self.worker = chunk.worker or self.worker
        if chunk.finish_reason == "error":
            return Heard.ERROR
        end = chunk.index + len(chunk.token_ids)
        if chunk.token_ids and end <= len(self.heard_ids) and not chunk.finish_reason:
            return Heard.NEWS
        if chunk.token_ids and chunk.index != len(self.heard_ids):
            return Heard.GAP
        if (
            chunk.finish_reason in ("stop", "length")
            and chunk.usage
            and chunk.usage.completion_tokens != max(end, len(self.heard_ids))
        ):
            return Heard.GAP
        self._take_in(chunk, now)
        return Heard.END if chunk.finish_reason else Heard.NEWS

    def _take_in(self, chunk: wire.Chunk, now: float) -> None:
        if chunk.token_ids:
            self.heard_ids.extend(chunk.token_ids)
        if self.first_token_at is None and (chunk.token_ids or chunk.embedding):
            self.first_token_at = now
        if chunk.token_ids or chunk.text or chunk.embedding:
            self.chunks.append(chunk)
        elif chunk.loading is None:
            return  # a keepalive, or an end without words
        self._unread.append(chunk)
        if not self._reads_whole:
            self._wake()

    def next_attempt(self, now: float) -> None:
        """Turns to a new epoch: what the old one still says is not listened to."""
        self.epoch += 1
        self.sent_at, self.last_heard = now, None
        if self.waiting_since is None:
            self.waiting_since = now

    def end(self, ending: Ending) -> None:
        """Nothing more will come. The client reads what is left, then the ending."""
        self.ending = ending
        self._wake()

    def usage_so_far(self) -> wire.Usage:
        """What was heard: the count of a run whose worker has not counted."""
        return wire.Usage(prompt_tokens=len(self.call.prompt_ids), completion_tokens=len(self.heard_ids))

    def _wake(self) -> None:
        if self._wakeup and not self._wakeup.done():
            self._wakeup.set_result(None)

    def __aiter__(self) -> RunStream:
        return self

    async def __anext__(self) -> Piece:
        """Everything that has come since the last call, in one piece. Raises the StoreError that ended the run."""
        while not self._unread and not self.ending:
            await self._sleep()
        if self._unread:
            chunks = list(self._unread)
            self._unread.clear()
            return _join(chunks)
        await self._settlement()
        if self.ending and self.ending.error:
            raise self.ending.error
        raise StopAsyncIteration

    async def whole(self) -> Piece:
        """The whole answer, once it has ended. Raises the StoreError that ended the run."""
        self._reads_whole = True
        await self.over()
        await self._settlement()
        if self.ending and self.ending.error:
            raise self.ending.error
        return _join(list(self._unread))

    async def ready(self) -> None:
        """Returns once there is something to read or the run has ended. Raises the StoreError of a run that came to nothing."""
        while not self._unread and not self.ending:
            await self._sleep()
        if self.ending and self.ending.error and not self._unread:
            await self._settlement()
            raise self.ending.error

    async def over(self) -> None:
        """Returns at the end of the run."""
        while not self.ending:
            await self._sleep()

    async def _settlement(self) -> None:
        """The client's last word waits until the charge is in the books, but not for a Postgres that is away."""
        if self.settled and not self.settled.done():
            await asyncio.wait({self.settled}, timeout=SETTLE_PATIENCE_S)

    async def _sleep(self) -> None:
        self._wakeup = asyncio.get_running_loop().create_future()
        await self._wakeup

    def replay_chunks(self) -> bytes:
        """The answer as it is kept for the next request with the same Idempotency-Key. Only after the end."""
        assert self.ending
        last = wire.Chunk(
            run_id=self.run_id, epoch=self.epoch, finish_reason=_wire_reason(self.ending), usage=self.ending.usage
        )
        return wire.encode_chunks([*(replace(c, finish_reason=None, usage=None) for c in self.chunks), last])


def _wire_reason(ending: Ending) -> wire.FinishReason:
    return "stop" if ending.finish_reason == "stop" else "length"


def _join(chunks: Sequence[wire.Chunk]) -> Piece:
    if len(chunks) == 1:
        only = chunks[0]
        return Piece(
            text=only.text,
            token_ids=only.token_ids,
            logprobs=only.logprobs,
            loading=only.loading,
            embedding=only.embedding,
        )
    return Piece(
        text="".join(c.text for c in chunks),
        token_ids=tuple(i for c in chunks for i in c.token_ids),
        logprobs=tuple(p for c in chunks for p in c.logprobs),
        loading=chunks[-1].loading if chunks else None,
        embedding=next((c.embedding for c in chunks if c.embedding), None),
    )
