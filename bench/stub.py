"""A worker with an engine that costs nothing: a real Celery consumer that speaks the wire, and makes up its tokens.

    celery -A bench.stub worker --pool solo -Q serve.cold

The token at a position is a function of the prompt and the position, so an attempt that goes on for another says what that one would
have said. The environment has REDIS_URL, BROKER_URL (default: the same), STUB_NAME, STUB_TOKENS (tokens of an answer that is not
cut by max_tokens), STUB_DELAY_S (between tokens; 0: the whole answer in one entry) and STUB_RESIDENT (digests, by comma).
"""

from __future__ import annotations

import base64
import heapq
import logging
import os
import threading
import time
from array import array
from dataclasses import dataclass, field
from typing import Any

import redis
from celery import Celery
from celery.signals import worker_ready

from inference import wire

REDIS_URL = os.environ["REDIS_URL"]
BROKER_URL = os.environ.get("BROKER_URL") or REDIS_URL.replace("unix://", "redis+socket://", 1)
NAME = os.environ.get("STUB_NAME", "stub")
TOKENS = int(os.environ.get("STUB_TOKENS", "16"))
DELAY_S = float(os.environ.get("STUB_DELAY_S", "0"))
RESIDENT = tuple(digest for digest in os.environ.get("STUB_RESIDENT", "").split(",") if digest)
VOCABULARY = 500
CLAIM = """
if tonumber(ARGV[1]) <= tonumber(redis.call('GET', KEYS[1]) or '0') then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
return 1
"""

app = Celery("stub", broker=BROKER_URL)
app.conf.update(
    worker_prefetch_multiplier=64,
    worker_send_task_events=False,
    task_ignore_result=True,
    worker_hijack_root_logger=False,
)
client = redis.Redis.from_url(REDIS_URL)
claim = client.register_script(CLAIM)
log = logging.getLogger(__name__)


def token_at(prompt_ids: list[int], position: int) -> int:
    """The output token at a position."""
    return (sum(prompt_ids) + 7 * position) % VOCABULARY


def text_of(token: int) -> str:
    """What a token says."""
    return f" w{token}"


@dataclass(order=True)
class Attempt:
    """An attempt that talks, ordered by when it says its next token."""

    due: float
    spec: wire.CompletionSpec = field(compare=False)
    made: int = field(compare=False)  # output tokens of the run
    beat_at: float = field(compare=False, default=0.0)
    is_aborted: bool = field(compare=False, default=False)

    @property
    def total(self) -> int:
        return min(self.spec.sampling.max_tokens, TOKENS)

    def speak(self, count: int) -> wire.Chunk:
        """The next ``count`` tokens, and the end if they are the last."""
        spec, first = self.spec, self.made
        ids = tuple(token_at(spec.prompt_ids, position) for position in range(first, min(first + count, self.total)))
        self.made += len(ids)
        is_last = self.made >= self.total or self.is_aborted
        reason: wire.FinishReason = (
            "abort" if self.is_aborted else "stop" if spec.sampling.max_tokens >= TOKENS else "length"
        )
        usage = wire.Usage(prompt_tokens=len(spec.prompt_ids), completion_tokens=self.made)
        return wire.Chunk(
            run_id=spec.run_id,
            epoch=spec.epoch,
            worker=NAME,
            index=first,
            token_ids=ids,
            text="".join(map(text_of, ids)),
            logprobs=tuple(wire.TokenLogprob(token_id=i, text=text_of(i), logprob=-0.5) for i in ids)
            if spec.sampling.logprobs is not None
            else (),
            finish_reason=reason if is_last else None,
            usage=usage if is_last else None,
        )


def vectors_of(spec: wire.CompletionSpec) -> wire.Chunk:
    """The answer to the task "embed": for each text a vector of three numbers, its length, its first token and 1."""
    numbers = array("f")
    at = 0
    for length in spec.lengths:
        numbers.extend((length, spec.prompt_ids[at], 1))
        at += length
    return wire.Chunk(
        run_id=spec.run_id,
        epoch=spec.epoch,
        worker=NAME,
        embedding=base64.b64encode(numbers.tobytes()).decode(),
        finish_reason="stop",
        usage=wire.Usage(prompt_tokens=len(spec.prompt_ids), completion_tokens=0),
    )


class Talker(threading.Thread):
    """Says the tokens of attempts whose time has come, with a sign of life every second."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.attempts: dict[str, Attempt] = {}
        self._queue: list[Attempt] = []
        self._changed = threading.Condition()

    def add(self, attempt: Attempt) -> None:
        with self._changed:
            self.attempts[attempt.spec.run_id] = attempt
            heapq.heappush(self._queue, attempt)
            self._changed.notify()

    def run(self) -> None:
        while True:
            with self._changed:
                while not self._queue or self._queue[0].due > time.monotonic():
                    self._changed.wait(self._queue[0].due - time.monotonic() if self._queue else None)
                due = []
                while self._queue and self._queue[0].due <= time.monotonic():
                    due.append(heapq.heappop(self._queue))
            self._say(due)

    def _say(self, due: list[Attempt]) -> None:
        chunks: dict[str, list[wire.Chunk]] = {}
        for attempt in due:
            chunk = attempt.speak(0 if attempt.is_aborted else 1)
            chunks.setdefault(attempt.spec.reply_to, []).append(chunk)
            if chunk.finish_reason:
                self.attempts.pop(attempt.spec.run_id, None)
            else:
                attempt.due += DELAY_S
                with self._changed:
                    heapq.heappush(self._queue, attempt)
        try:
            send(chunks)
        except redis.RedisError as error:
            log.warning("%d chunks were lost: %s", len(chunks), error)

    def beat(self) -> None:
        """Signs of life of everything in hand."""
        chunks: dict[str, list[wire.Chunk]] = {}
        for attempt in list(self.attempts.values()):
            alive = wire.Chunk(run_id=attempt.spec.run_id, epoch=attempt.spec.epoch, worker=NAME)
            chunks.setdefault(attempt.spec.reply_to, []).append(alive)
        send(chunks)

    def abort(self, abort: wire.Abort) -> None:
        attempt = self.attempts.get(abort.run_id)
        if attempt and attempt.spec.epoch <= abort.epoch:
            with self._changed:
                attempt.is_aborted, attempt.due = True, 0.0
                heapq.heapify(self._queue)
                self._changed.notify()


talker = Talker()


def send(chunks: dict[str, list[wire.Chunk]]) -> None:
    pipeline = client.pipeline(transaction=False)
    for stream, said in chunks.items():
        pipeline.xadd(stream, {"m": wire.encode_chunks(said)})
    if chunks:
        pipeline.execute()


@app.task(name=wire.SERVE_TASK)
def complete(message: dict[str, Any]) -> None:
    """One attempt."""
    spec = wire.CompletionSpec.from_json(message)
    if not claim(keys=[wire.claim_key(spec.run_id)], args=[spec.epoch, wire.CLAIM_TTL_S]):
        return
    if spec.task == "embed":
        send({spec.reply_to: [vectors_of(spec)]})
        return
    attempt = Attempt(due=time.monotonic() + DELAY_S, spec=spec, made=len(spec.heard_ids))
    if DELAY_S:
        talker.add(attempt)
    else:
        send({spec.reply_to: [attempt.speak(TOKENS)]})


def pulse() -> None:
    """Reports this worker and what it has in hand."""
    while True:
        now, running = time.time(), len(talker.attempts)
        replica = wire.Replica(
            worker=NAME, device="stub", resident=RESIDENT, loading=(), running=running, waiting=0, slots=64,
            memory_used=0, memory_limit=2**40, tokens_per_s=0.0, at=now,
        )  # fmt: skip
        try:
            client.set(wire.REPLICA_PREFIX + NAME, replica.encode(), ex=wire.REPLICA_TTL_S)
            client.sadd(wire.REPLICAS, NAME)
            talker.beat()
        except redis.RedisError as error:
            log.warning("no report: %s", error)
        time.sleep(wire.KEEPALIVE_INTERVAL_S)


def listen() -> None:
    """Hears of aborts."""
    while True:
        try:
            channel = client.pubsub(ignore_subscribe_messages=True)  # type: ignore[no-untyped-call]
            channel.subscribe(wire.ABORT_CHANNEL)
            for message in channel.listen():
                talker.abort(wire.Abort.decode(message["data"].decode()))
        except redis.RedisError as error:
            log.warning("no aborts: %s", error)
            time.sleep(0.2)


@worker_ready.connect
def _start(**_kwargs: Any) -> None:
    talker.start()
    for work in (pulse, listen):
        threading.Thread(target=work, daemon=True).start()
