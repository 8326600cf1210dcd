"""The gateway's side of an attempt: sending it, giving it up, stopping it. All of it may fail with Redis; leases try again."""

from __future__ import annotations

import asyncio
import dataclasses
import time

import redis.asyncio
from django.conf import settings

from inference import wire
from store.fleet.fleet import Fleet
from store.outbox import RunSender
from store.runs.streams import RunStream

PATIENCE_S = 2.0  # with Redis

FENCE = """
local claimed = tonumber(redis.call('GET', KEYS[1]) or '0')
if claimed >= tonumber(ARGV[1]) then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
return 1
"""


class Attempts:
    """Sends attempts for one gateway process."""

    def __init__(self, client: redis.asyncio.Redis, fleet: Fleet, *, reply_to: str) -> None:
        self._redis = client
        self._fleet = fleet
        self._reply_to = reply_to
        self._fence = client.register_script(FENCE)
        self._sender = RunSender()

    def send(self, stream: RunStream) -> None:
        """Sends the stream's current epoch, from the tokens heard so far. A second message of an epoch is dropped by its claim."""
        call = stream.call
        spec = wire.CompletionSpec(
            run_id=stream.run_id,
            epoch=stream.epoch,
            reply_to=self._reply_to,
            release=call.release,
            prompt_ids=call.prompt_ids,
            heard_ids=stream.heard_ids.copy(),
            sampling=dataclasses.replace(call.sampling, max_tokens=stream.max_tokens, seed=_seed(stream)),
            deadline=time.time() + settings.RUN_DEADLINE_S - (time.monotonic() - stream.opened_at),
            task=call.task,
            lengths=call.lengths,
        )
        self._sender.send(spec, queue=self._fleet.route(call.release.engine_digest))

    async def was_claimed(self, stream: RunStream) -> bool:
        """Whether some worker has started the current epoch. Raises RedisError and OSError."""
        async with asyncio.timeout(PATIENCE_S):
            return int(await self._redis.get(wire.claim_key(stream.run_id)) or 0) >= stream.epoch

    async def give_up(self, run_id: str, epoch: int) -> bool:
        """Makes sure that an epoch is never started, and stops it where it was. True: it had not been started.

        Raises RedisError and OSError.
        """
        async with asyncio.timeout(PATIENCE_S):
            fenced = await self._fence(keys=[wire.claim_key(run_id)], args=[epoch, wire.CLAIM_TTL_S])
            if not fenced:
                await self._redis.publish(wire.ABORT_CHANNEL, wire.Abort(run_id=run_id, epoch=epoch).encode())
        return bool(fenced)

    def close(self) -> None:
        """Blocks until what waits has been sent."""
        self._sender.close()


def _seed(stream: RunStream) -> int:
    """The client's, or one that is the same in every attempt of the run."""
    return stream.call.sampling.seed if stream.call.has_seed else int(stream.run_id, 16) & 0x7FFF_FFFF_FFFF_FFFF
