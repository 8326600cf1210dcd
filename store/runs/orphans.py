"""The runs of a gateway that died: stopped where they still run, and settled by what its reply stream says was made."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import cast
from uuid import UUID

import redis
from django.conf import settings

from inference import wire
from store.runs import actions
from store.runs.attempts import FENCE
from store.runs.books import SettleRun
from store.runs.models import RunStatus

PAGE = 500  # entries of a stream that are read at once
LAST_EPOCH = 2**31 - 1  # above all that a gateway sends

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Remains:
    """What a run said, as far as its gateway can have heard it."""

    epoch: int = 0
    tokens: int = 0
    worker: str = ""
    chunks: list[wire.Chunk] = field(default_factory=list)
    last: wire.Chunk | None = None

    def hear(self, chunk: wire.Chunk) -> None:
        """Takes in the next chunk of the stream. A newer epoch goes on where the older one was cut off."""
        if chunk.epoch < self.epoch or self.last:
            return
        self.epoch, self.worker = chunk.epoch, chunk.worker or self.worker
        if chunk.token_ids and chunk.index != self.tokens:
            return
        self.tokens += len(chunk.token_ids)
        if chunk.token_ids or chunk.text:
            self.chunks.append(replace(chunk, finish_reason=None, usage=None))
        if chunk.finish_reason in ("stop", "length"):
            self.last = chunk

    def ending(self, run_id: UUID) -> SettleRun:
        """A whole answer is paid and kept for who asks again with its Idempotency-Key; of another, what was made is paid."""
        if self.last and self.last.usage:
            kept = [*self.chunks, replace(self.last, token_ids=(), text="", logprobs=())]
            return SettleRun(
                run_id=run_id,
                status=RunStatus.SUCCEEDED,
                output_tokens=self.last.usage.completion_tokens,
                cached_tokens=self.last.usage.cached_tokens,
                finish_reason=self.last.finish_reason or "",
                attempts=self.epoch,
                worker=self.worker,
                replay_chunks=wire.encode_chunks(kept),
            )
        return SettleRun(
            run_id=run_id,
            status=RunStatus.FAILED,
            output_tokens=self.tokens,
            finish_reason="error",
            error_code="gateway_lost",
            attempts=max(1, self.epoch),
            worker=self.worker,
        )


def settle_orphans() -> int:
    """Settles the runs of every dead gateway. Returns how many. Raises RedisError and DatabaseError: the next beat tries again."""
    client = redis.Redis.from_url(settings.REDIS_URL, socket_timeout=5, socket_connect_timeout=2)
    settled = 0
    for gateway_id in actions.find_dead_gateways():
        while run_ids := actions.runs_left_by(gateway_id):
            settled += _settle(client, gateway_id, run_ids)
        client.delete(wire.reply_stream(gateway_id.hex))
    return settled


def _settle(client: redis.Redis, gateway_id: UUID, run_ids: list[UUID]) -> int:
    for run_id in run_ids:
        client.eval(FENCE, 1, wire.claim_key(run_id.hex), LAST_EPOCH, wire.CLAIM_TTL_S)
        client.publish(wire.ABORT_CHANNEL, wire.Abort(run_id=run_id.hex, epoch=LAST_EPOCH).encode())
    remains = {run_id.hex: Remains() for run_id in run_ids}
    for chunk in _chunks(client, wire.reply_stream(gateway_id.hex)):
        if chunk.run_id in remains:
            remains[chunk.run_id].hear(chunk)
    settled = actions.settle_runs([remains[run_id.hex].ending(run_id) for run_id in run_ids])
    log.warning("settled %d runs of gateway %s, which died", len(settled), gateway_id)
    return sum(one.now for one in settled)


def _chunks(client: redis.Redis, stream: str) -> Iterator[wire.Chunk]:
    """Everything that is left of a stream, in order."""
    after = "-"
    while entries := cast("list[tuple[bytes, dict[bytes, bytes]]]", client.xrange(stream, min=after, count=PAGE)):
        for entry_id, fields in entries:
            after = f"({entry_id.decode()}"
            try:
                yield from wire.decode_chunks(fields[b"m"])
            except (wire.WireError, KeyError) as error:
                log.error("an entry of %s was dropped: %s", stream, error)
