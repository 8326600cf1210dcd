"""The gateway: one in each web process. It opens runs, follows them through workers that come and go, and settles them."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import Coroutine
from contextlib import suppress
from functools import partial
from typing import Any

import redis.asyncio
import uuid_utils.compat
from django.conf import settings
from django.db import Error as DatabaseError
from redis.exceptions import RedisError

from inference import wire
from store.errors import StoreError, Unavailable
from store.fleet.fleet import Fleet
from store.runs import actions
from store.runs.allowances import Allowances
from store.runs.attempts import Attempts
from store.runs.books import OpenedRun, OpenRun, ReplayFound, SettledRun, SettleRun
from store.runs.calls import Call, RunFailed
from store.runs.database_thread import query
from store.runs.group_commit import GroupCommit
from store.runs.models import RunStatus
from store.runs.reader import TRIM_INTERVAL_S, Reader
from store.runs.streams import Ending, Heard, RunStream
from store.runs.watch import SWEEP_INTERVAL_S, Due, what_is_due

HEARTBEAT_INTERVAL_S = 2.0
MAX_FAILURES = 3  # attempts that end in an error before the run does
RETRY_PAUSE_S = 0.2
HOPELESS = frozenset(
    {"invalid_request", "unsupported_model", "digest_mismatch", "bad_logits"}
)  # error codes: the next worker would say the same
ABORT_INTERVAL_S, ABORT_PATIENCE_S = 0.5, 3.0
SETTLE_RETRY_MIN_S, SETTLE_RETRY_MAX_S = 0.05, 5.0
DRAIN_S = 20.0  # at shutdown, for settlements; the reaper has the rest

log = logging.getLogger(__name__)


class Gateway:
    """Lives on one event loop, from :meth:`start` to :meth:`stop`."""

    def __init__(self) -> None:
        self.id = uuid.uuid4()
        # Without a socket_timeout, for which redis-py pays with a task for each command: whoever calls is patient only so long.
        self.redis = redis.asyncio.Redis.from_url(settings.REDIS_URL, socket_connect_timeout=2)
        self.fleet = Fleet()
        self.allowances = Allowances(self.redis)
        self._reader = Reader(self.redis, wire.reply_stream(self.id.hex), self._on_chunk)
        self._attempts = Attempts(self.redis, self.fleet, reply_to=wire.reply_stream(self.id.hex))
        self._opens: GroupCommit[OpenRun, OpenedRun | ReplayFound] = GroupCommit(actions.open_runs, name="opens")
        self._settles: GroupCommit[SettleRun, SettledRun] = GroupCommit(actions.settle_runs, name="settles")
        self._runs: dict[str, RunStream] = {}  # open or not yet settled, in the order of their opening
        self._tasks: set[asyncio.Task[None]] = set()
        self._forever: list[asyncio.Task[None]] = []
        self._is_closing = False

    async def start(self) -> None:
        """Registers this process and begins to listen. Raises DatabaseError."""
        await query(actions.heartbeat_gateway, self.id)
        listening = (self._reader.run(), self.fleet.watch(self.redis), self.allowances.run())
        for work in (*listening, self._watch(), self._trim(), self._beat()):
            self._forever.append(asyncio.create_task(work))

    async def stop(self) -> None:
        """Takes no more calls, waits until those under way are settled, and ends."""
        self._is_closing = True
        until = time.monotonic() + DRAIN_S
        while self._runs and time.monotonic() < until:
            await asyncio.wait(self._tasks, timeout=0.1)
        for task in (*self._forever, *self._tasks):
            task.cancel()
        await asyncio.gather(*self._forever, *self._tasks, return_exceptions=True)
        for part in (self._attempts, self._opens, self._settles):
            await asyncio.to_thread(part.close)
        await self.redis.aclose()

    # A run, from its opening to its end.

    async def open(self, call: Call) -> RunStream:
        """Holds the worst case and sends the run. Raises the StoreError for which it was refused: then nothing is held."""
        if not self.fleet.has_workers():
            await self.fleet.refresh(self.redis)  # one that has just come is not refused
        self._refuse_if_unable()
        run = self._open_run(call)
        opening = asyncio.ensure_future(self._opens.submit(run))
        try:
            answer = await asyncio.shield(opening)
        except (asyncio.CancelledError, Unavailable):
            opening.add_done_callback(partial(self._undo, call, run.run_id))
            raise
        if isinstance(answer, ReplayFound):
            return RunStream.replayed(call, answer)
        stream = self._follow(call, answer.run_id, answer.max_tokens)
        self._attempts.send(stream)
        return stream

    def abandon(self, stream: RunStream) -> None:
        """The client is gone: generation stops, what was made is charged. A stream that has ended is left alone."""
        if stream.ending is None and not stream.is_abandoned:
            stream.is_abandoned = True
            self._spawn(self._abort(stream))

    def _refuse_if_unable(self) -> None:
        if self._is_closing:
            raise Unavailable("This server is about to restart.", retry_after_s=1)
        if len(self._runs) >= settings.MAX_OPEN_RUNS:
            raise Unavailable(
                "This server has as many calls under way as it may.", retry_after_s=self.fleet.retry_after_s()
            )
        if not self.fleet.has_workers():
            raise Unavailable("No worker is running.", retry_after_s=self.fleet.retry_after_s())

    def _open_run(self, call: Call) -> OpenRun:
        return OpenRun(
            run_id=uuid_utils.compat.uuid7(),
            organization_id=call.organization_id,
            user_id=call.user_id,
            api_key_id=call.grant.api_key_id if call.grant else None,
            listing_id=call.listing_id,
            release_id=call.release_id,
            gateway_id=self.id,
            endpoint=call.endpoint,
            request_id=call.request_id,
            is_stream=call.is_stream,
            prompt_tokens=len(call.prompt_ids),
            max_tokens=call.sampling.max_tokens if call.is_capped else None,
            context_left=call.sampling.max_tokens,
            replay=call.replay,
        )

    def _follow(self, call: Call, run_id: uuid.UUID, max_tokens: int) -> RunStream:
        stream = RunStream(call, run_id=run_id.hex, max_tokens=max_tokens)
        stream.position = self._reader.position
        self._runs[stream.run_id] = stream
        return stream

    def _undo(self, call: Call, run_id: uuid.UUID, opening: asyncio.Future[OpenedRun | ReplayFound]) -> None:
        """Nothing was sent: the client went away while its run was being opened, or Postgres did, and may have opened it."""
        error = None if opening.cancelled() else opening.exception()
        if isinstance(error, Unavailable) or (error is None and isinstance(opening.result(), OpenedRun)):
            stream = self._follow(call, run_id, call.sampling.max_tokens)
            status = RunStatus.FAILED if error else RunStatus.CANCELLED
            self._finish(stream, status, Ending(finish_reason="abort", usage=stream.usage_so_far()), "not_opened")

    # What workers say.

    def _on_chunk(self, chunk: wire.Chunk) -> None:
        stream = self._runs.get(chunk.run_id)
        if stream is None:
            return
        heard = stream.feed(chunk, time.monotonic())
        if heard is Heard.END:
            self._on_end(stream, chunk)
        elif heard is Heard.ERROR:
            self._on_error(stream, chunk)
        elif heard is Heard.GAP and not stream.is_abandoned:
            log.warning("run %s: tokens were lost after %d", stream.run_id, len(stream.heard_ids))
            self._next_attempt(stream)

    def _on_end(self, stream: RunStream, chunk: wire.Chunk) -> None:
        usage = chunk.usage or stream.usage_so_far()
        reason = chunk.finish_reason or "length"
        if stream.is_abandoned:
            self._finish(stream, RunStatus.CANCELLED, Ending(finish_reason=reason, usage=usage))
        elif reason != "abort":
            self._finish(stream, RunStatus.SUCCEEDED, Ending(finish_reason=reason, usage=usage))
        elif time.monotonic() - stream.opened_at < settings.RUN_DEADLINE_S - 1:
            self._next_attempt(stream)  # the worker stopped for a reason of its own
        else:
            self._out_of_time(stream, usage)

    def _on_error(self, stream: RunStream, chunk: wire.Chunk) -> None:
        stream.failures += 1
        code = chunk.error_code or "unknown"
        log.warning("run %s: worker %s failed: %s: %s", stream.run_id, chunk.worker, code, chunk.error)
        if stream.is_abandoned:
            self._finish(stream, RunStatus.CANCELLED, Ending(finish_reason="abort", usage=stream.usage_so_far()))
        elif code in HOPELESS or stream.failures >= MAX_FAILURES:
            self._fail(stream, code, RunFailed(retry_after_s=self.fleet.retry_after_s()))
        else:
            self._next_attempt(stream, pause_s=RETRY_PAUSE_S * stream.failures)

    # What silence says.

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_INTERVAL_S)
            now = time.monotonic()
            for stream in [s for s in self._runs.values() if s.ending is None]:
                self._do(stream, what_is_due(stream, now=now, heard_until=self._reader.heard_until))

    def _do(self, stream: RunStream, due: Due) -> None:
        if due is Due.SEND_AGAIN:
            stream.sent_at = time.monotonic()
            self._spawn(self._send_again(stream))
        elif due is Due.NEXT_ATTEMPT:
            log.warning(
                "run %s: worker %s is silent after %d tokens", stream.run_id, stream.worker, len(stream.heard_ids)
            )
            self._next_attempt(stream)
        elif due is Due.QUEUE_LIMIT:
            self._spawn(self._give_up(stream, stream.epoch))
            busy = Unavailable("All workers are busy.", retry_after_s=self.fleet.retry_after_s())
            self._fail(stream, "queue_limit", busy)
        elif due is Due.DEADLINE:
            self._spawn(self._give_up(stream, stream.epoch))
            self._out_of_time(stream, stream.usage_so_far())

    async def _send_again(self, stream: RunStream) -> None:
        """The message of a run that nobody was heard of: it keeps its place in the queue, and only a lost one is replaced."""
        try:
            was_claimed = await self._attempts.was_claimed(stream)
        except (RedisError, OSError):
            return  # the lease comes round again
        if stream.ending is None and stream.last_heard is None:
            self._next_attempt(stream) if was_claimed else self._attempts.send(stream)

    def _next_attempt(self, stream: RunStream, *, pause_s: float = 0.0) -> None:
        old = stream.epoch
        stream.next_attempt(time.monotonic())
        self._spawn(self._hand_over(stream, old, pause_s))

    async def _hand_over(self, stream: RunStream, old: int, pause_s: float) -> None:
        await self._give_up(stream, old)
        await asyncio.sleep(pause_s)
        if stream.ending is None and not stream.is_abandoned:
            self._attempts.send(stream)

    async def _give_up(self, stream: RunStream, epoch: int) -> bool:
        """True: the attempt had not been started, and never will be."""
        try:
            return await self._attempts.give_up(stream.run_id, epoch)
        except (RedisError, OSError) as error:
            log.warning("run %s: attempt %d could not be stopped: %s", stream.run_id, epoch, error)
            return False

    # Ends.

    def _fail(self, stream: RunStream, code: str, error: StoreError) -> None:
        self._finish(
            stream, RunStatus.FAILED, Ending(finish_reason="error", usage=stream.usage_so_far(), error=error), code
        )

    def _out_of_time(self, stream: RunStream, usage: wire.Usage) -> None:
        """At the deadline, the client gets what there is."""
        if stream.is_abandoned:
            self._finish(stream, RunStatus.CANCELLED, Ending(finish_reason="abort", usage=usage), "deadline")
        elif stream.heard_ids:
            self._finish(stream, RunStatus.SUCCEEDED, Ending(finish_reason="length", usage=usage), "deadline")
        else:
            self._fail(
                stream, "deadline", Unavailable("No answer came in time.", retry_after_s=self.fleet.retry_after_s())
            )

    async def _abort(self, stream: RunStream) -> None:
        """Tells workers to stop until one has said how much it made, or none will."""
        until = time.monotonic() + ABORT_PATIENCE_S
        while stream.ending is None:
            never_started = await self._give_up(stream, stream.epoch) and not stream.was_started
            if never_started or time.monotonic() > until:
                self._finish(stream, RunStatus.CANCELLED, Ending(finish_reason="abort", usage=stream.usage_so_far()))
                return
            with suppress(TimeoutError):
                await asyncio.wait_for(stream.over(), ABORT_INTERVAL_S)

    def _finish(self, stream: RunStream, status: RunStatus, ending: Ending, error_code: str = "") -> None:
        first = stream.first_token_at
        stream.end(ending)
        settled = SettleRun(
            run_id=uuid.UUID(stream.run_id),
            status=status,
            output_tokens=ending.usage.completion_tokens,
            cached_tokens=ending.usage.cached_tokens,
            finish_reason=ending.finish_reason,
            error_code=error_code,
            attempts=stream.epoch,
            worker=stream.worker,
            first_token_ms=None if first is None else int((first - stream.opened_at) * 1000),
            replay_chunks=stream.replay_chunks() if stream.call.replay and status is RunStatus.SUCCEEDED else None,
        )
        stream.settled = self._spawn(self._settle(stream, settled))

    async def _settle(self, stream: RunStream, settled: SettleRun) -> None:
        """Until Postgres has it. The client does not wait for long (``RunStream``)."""
        delay_s = SETTLE_RETRY_MIN_S
        while True:
            try:
                stream.charge_nano = (await self._settles.submit(settled)).charge_nano
                break
            except (Unavailable, DatabaseError) as error:
                log.warning("run %s waits to be settled: %s", stream.run_id, error)
                await asyncio.sleep(delay_s)
                delay_s = min(delay_s * 2, SETTLE_RETRY_MAX_S)
            except Exception:
                log.exception("run %s cannot be settled", stream.run_id)
                break
        del self._runs[stream.run_id]
        call = stream.call
        self.allowances.give_back(call.grant, call.tokens_taken - len(call.prompt_ids) - settled.output_tokens)

    # What goes on for ever.

    async def _trim(self) -> None:
        while True:
            await asyncio.sleep(TRIM_INTERVAL_S)
            oldest = next(iter(self._runs.values()), None)
            with suppress(RedisError, OSError):
                await self._reader.trim(oldest.position if oldest else self._reader.position)

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_INTERVAL_S)
            try:
                await query(actions.heartbeat_gateway, self.id)
            except DatabaseError as error:
                log.warning("no heartbeat: %s", error)

    def _spawn(self, work: Coroutine[Any, Any, None] | Coroutine[Any, Any, bool]) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


_gateway: Gateway | None = None


async def start() -> None:
    """Starts the gateway of this process. Raises DatabaseError."""
    global _gateway
    gateway = Gateway()
    await gateway.start()
    _gateway = gateway


async def stop() -> None:
    """Stops it: no call is under way afterwards."""
    if _gateway:
        await _gateway.stop()


def current() -> Gateway:
    """The gateway of this process. Raises Unavailable where it has not started."""
    if _gateway is None:
        raise Unavailable("The gateway has not started.", retry_after_s=1)
    return _gateway
