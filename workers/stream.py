"""From the engines to Redis: what one step made, as one entry of each reply stream, written by a thread of its own.

A slow or missing Redis never stalls an engine. What cannot be written waits, up to a bound, and is lost beyond it: the gateway then
sees a gap or silence, and sends the run again from the tokens that it has heard.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import defaultdict, deque
from collections.abc import Iterable, Sequence
from typing import Final

import redis

from inference import wire
from inference.engine import Output
from workers.attempts import Attempt, Attempts

logger = logging.getLogger(__name__)

WRITE_INTERVAL_S: Final = 0.02  # between writes of tokens in mid-run, so that quick steps share one: nobody sees 1/50 s
STREAM_MAXLEN: Final = 20_000  # entries, about: minutes of a busy gateway
STREAM_TTL_S: Final = 24 * 3600  # of a stream that nobody writes to any more
STREAM_TTL_EVERY_S: Final = 60
MAX_BUFFERED: Final = 100_000  # outputs that wait for Redis
RETRY_S: Final = 0.1
FIELD: Final = "m"


class Writer:
    """Turns :class:`inference.engine.Output` into :class:`inference.wire.Chunk`, and ends each attempt whose last one is written."""

    def __init__(self, client: redis.Redis, attempts: Attempts, *, worker: str) -> None:
        self._redis = client
        self._attempts = attempts
        self._worker = worker
        self._inbox: deque[Sequence[Output]] = deque()
        self._wake = threading.Event()
        self._urgent = threading.Event()
        self._closing = False
        self._expiry_due: dict[str, float] = {}  # stream -> monotonic time
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
        self._thread.start()

    def put(self, outputs: Sequence[Output]) -> None:
        """Takes what one engine step made; returns at once. An Output that says nothing is a sign of life."""
        self._inbox.append(outputs)
        if any(output.finish_reason or output.index == 0 for output in outputs):
            self._urgent.set()  # somebody waits for a first token, or for the end
        self._wake.set()

    def close(self, *, timeout_s: float) -> None:
        """Writes what is there, and stops."""
        self._closing = True
        self._urgent.set()
        self._wake.set()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        written_at = 0.0
        while True:
            self._wake.wait()
            self._urgent.wait(max(0.0, written_at + WRITE_INTERVAL_S - time.monotonic()))
            self._wake.clear()
            self._urgent.clear()
            try:
                self._write(self._take())
            except Exception:
                logger.exception("outputs were lost")  # their runs go on elsewhere, and this thread has others to serve
            written_at = time.monotonic()
            if self._closing and not self._inbox:
                return

    def _take(self) -> list[Output]:
        taken: list[Output] = []
        while self._inbox:
            taken += self._inbox.popleft()
        return taken

    def _write(self, outputs: list[Output]) -> None:
        by_attempt: dict[str, list[Output]] = defaultdict(list)
        for output in outputs:
            made = by_attempt[output.id]
            if not (made and made[-1].finish_reason):  # nothing comes after the end, though a sign of life may cross it
                made.append(output)
        by_stream: dict[str, list[wire.Chunk]] = defaultdict(list)
        finished: list[Attempt] = []
        for id_, made in by_attempt.items():
            attempt = self._attempts.get(id_)
            if attempt is None:
                continue  # it was ended otherwise
            chunk = _chunk(attempt, made, self._worker)
            by_stream[attempt.spec.reply_to].append(chunk)
            if chunk.finish_reason:
                finished.append(attempt)
            elif chunk.token_ids:
                attempt.told, attempt.spoke_at = chunk.index + len(chunk.token_ids), time.monotonic()
        try:
            self._send(by_stream)
        finally:
            for attempt in finished:
                self._attempts.remove(attempt)

    def _send(self, by_stream: dict[str, list[wire.Chunk]]) -> None:
        """One round trip. Tries again until Redis answers, there is too much to keep, or the worker stops."""
        if not by_stream:
            return
        entries = [(stream, wire.encode_chunks(chunks)) for stream, chunks in by_stream.items()]
        failed = False
        while True:
            try:
                self._add(entries)
            except redis.RedisError as error:
                if not failed:
                    logger.warning("tokens wait for Redis: %s", error)
                failed = True
                if self._closing or self._overflows():
                    return
                time.sleep(RETRY_S)  # the server cannot tell us when it is back
            else:
                if failed:
                    logger.warning("Redis is back")
                return

    def _add(self, entries: Iterable[tuple[str, bytes]]) -> None:
        now = time.monotonic()
        pipeline = self._redis.pipeline(transaction=False)
        for stream, value in entries:
            pipeline.xadd(stream, {FIELD: value}, maxlen=STREAM_MAXLEN, approximate=True)
            if self._expiry_due.get(stream, 0.0) <= now:
                pipeline.expire(stream, STREAM_TTL_S)
                self._expiry_due[stream] = now + STREAM_TTL_EVERY_S
        pipeline.execute()

    def _overflows(self) -> bool:
        if sum(len(outputs) for outputs in list(self._inbox)) <= MAX_BUFFERED:
            return False
        lost = self._take()
        logger.error("Redis is away: %d outputs are lost", len(lost))
        for output in lost:
            attempt = self._attempts.get(output.id)
            if attempt and output.finish_reason:
                self._attempts.remove(attempt)
        return True


def _chunk(attempt: Attempt, outputs: list[Output], worker: str) -> wire.Chunk:
    """What an attempt has to say, its outputs of several steps put together."""
    spec, first, last = attempt.spec, outputs[0], outputs[-1]
    index, token_ids, text, logprobs = first.index, first.token_ids, first.text, first.logprobs
    if len(outputs) > 1:
        index = next((output.index for output in outputs if output.token_ids), last.index)
        token_ids = tuple(token for output in outputs for token in output.token_ids)
        text = "".join(output.text for output in outputs)
        logprobs = tuple(logprob for output in outputs for logprob in output.logprobs)
    return wire.Chunk(
        run_id=spec.run_id,
        epoch=spec.epoch,
        worker=worker,
        index=index,
        token_ids=token_ids,
        text=text,
        logprobs=logprobs,
        loading=None if token_ids or last.finish_reason else attempt.loading,
        finish_reason=last.finish_reason,
        stop_string=last.stop_string,
        usage=last.usage,
        error_code=last.error_code,
        error=last.error,
        embedding=last.embedding,
    )
