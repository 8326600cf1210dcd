"""Serving: from a message to the last chunk of its attempt."""

from __future__ import annotations

import logging
import time
from typing import Any, Final

import redis
from celery import Celery
from redis.backoff import NoBackoff
from redis.retry import Retry

from inference import wire
from inference.engine import EngineStopped, InvalidRequest, Output, Request
from workers import settings
from workers.attempts import Attempt, Attempts
from workers.convert import Converter
from workers.evaluate import Evaluator
from workers.models import ModelLoadFailed, Models
from workers.pulse import Pulse
from workers.queues import Queues
from workers.stream import Writer
from workers.tune import Tuner

logger = logging.getLogger(__name__)

REDIS_TIMEOUT_S: Final = 5.0
REDIS_CONNECT_TIMEOUT_S: Final = 2.0
CLAIM_TRIES: Final = 5
CLAIM_RETRY_S: Final = 0.2
HAND_OVER_S: Final = 2.0  # for the last words of a worker that stops
DRAIN_POLL_S: Final = 0.05


class Server:
    """Everything of a GPU worker but Celery. Lives as long as the process."""

    def __init__(self, app: Celery, *, slots: int, name: str) -> None:
        """``app`` sends what is not of a run: reports of what was measured, converted and trained."""
        self._slots = slots
        self._name = name
        self._stopping = False
        # Every caller here knows better than the client library when, and whether, to try again.
        self._redis = redis.Redis.from_url(
            settings.REDIS_URL,
            socket_timeout=REDIS_TIMEOUT_S,
            socket_connect_timeout=REDIS_CONNECT_TIMEOUT_S,
            retry=Retry(NoBackoff(), 0),
        )
        self.queues = Queues()
        self._attempts = Attempts(self._redis)
        self._writer = Writer(self._redis, self._attempts, worker=name)
        self._models = Models(self.queues, self._writer.put)
        self.evaluator = Evaluator(app, self._redis, self._models, is_busy=lambda: len(self._attempts) > 0)
        self.converter = Converter(app, self._redis)
        self.tuner = Tuner(app, self._redis, self._models, slots=settings.TUNE_SLOTS)
        self.queues.want(wire.COLD_QUEUE)
        self._pulse = Pulse(self._redis, self, name=name)

    def complete(self, message: dict[str, Any]) -> None:
        """Serves one attempt, and returns after its last chunk was written. Says what went wrong on the reply stream."""
        try:
            attempt = Attempt(wire.CompletionSpec.from_json(message))
        except wire.WireError as error:
            logger.error("a message that cannot be read: %s", error)  # there is nobody to answer
            return
        if self._claim(attempt):
            self._serve(attempt)
            attempt.over.wait()

    def abort(self, abort: wire.Abort) -> None:
        """Ends the attempts of a run, up to an epoch, with "abort"."""
        for attempt in self._attempts.all():
            if attempt.spec.run_id == abort.run_id and attempt.spec.epoch <= abort.epoch:
                self._stop(attempt)

    def tick(self) -> None:
        """Says which attempts are in hand; ends those that nobody listens to, and those whose engine has died."""
        said = []
        for attempt in self._attempts.all():
            if attempt.loop is None and attempt.spec.deadline <= time.time():
                self._end(attempt, "abort")
            elif attempt.loop is not None and not attempt.loop.alive:
                self._end(attempt, "error", code="engine_failed", error="the engine has stopped")
            elif time.monotonic() - attempt.spoke_at >= wire.KEEPALIVE_INTERVAL_S:
                attempt.loading = None if attempt.loop else self._models.progress(attempt.spec.release)
                said.append(Output(id=attempt.id))
        if said:
            self._writer.put(said)
        self._models.drop_dead()
        has_room = self._models.has_room and not self._stopping
        self._consume(wire.COLD_QUEUE, has_room)
        self._consume(wire.EVALUATE_QUEUE, has_room and not self.evaluator.is_at_work)
        self._consume(wire.CONVERT_QUEUE, not (self._stopping or self.converter.is_at_work))
        self._consume(wire.TUNE_QUEUE, self.tuner.has_room)
        for attempt in self._attempts.superseded():
            self._stop(attempt)

    def report(self) -> wire.Replica | None:
        """This worker as it is now; None once it stops."""
        if self._stopping:
            return None
        running = self._models.running
        return wire.Replica(
            worker=self._name,
            device=self._models.device,
            resident=self._models.resident,
            loading=self._models.loading,
            running=running,
            waiting=max(0, len(self._attempts) - running),
            slots=self._slots,
            memory_used=self._models.memory_bytes,
            memory_limit=self._models.limit_bytes,
            tokens_per_s=self._models.tokens_per_s,
            at=time.time(),
            tune_slots=self.tuner.slots,
            tuning=self.tuner.jobs,
        )

    def close(self, *, drain_s: float) -> None:
        """Finishes the attempts in hand, or hands them over after ``drain_s``. No message may come any more."""
        self._stopping = True
        self.evaluator.close()
        self.converter.close()
        self.tuner.close()
        drained_by = time.monotonic() + drain_s
        self._await_empty(drain_s)
        self.tuner.await_idle(drained_by - time.monotonic())  # for a last checkpoint of each training
        for attempt in self._attempts.all():
            self._stop(attempt)  # an end that its gateway did not ask for: the run goes on elsewhere
        self._await_empty(HAND_OVER_S)
        self._pulse.close()
        self._writer.close(timeout_s=HAND_OVER_S)
        for attempt in self._attempts.all():
            self._attempts.remove(attempt)  # their threads go home
        self._models.close()
        self._redis.close()

    def _consume(self, queue: str, is_wanted: bool) -> None:
        if is_wanted:
            self.queues.want(queue)
        else:
            self.queues.leave(queue, wait=False)

    def _await_empty(self, timeout_s: float) -> None:
        deadline = time.monotonic() + timeout_s
        while len(self._attempts) and time.monotonic() < deadline:
            time.sleep(DRAIN_POLL_S)

    def _claim(self, attempt: Attempt) -> bool:
        for _try in range(CLAIM_TRIES):
            try:
                return self._attempts.claim(attempt)
            except redis.RedisError as error:
                logger.warning("a claim waits for Redis: %s", error)
                time.sleep(CLAIM_RETRY_S)
        return False  # the gateway sends the run again when nobody starts it

    def _serve(self, attempt: Attempt) -> None:
        def is_wanted() -> bool:
            return not attempt.ended

        try:
            with self._models.lease(attempt.spec.release, is_wanted) as loop:
                with attempt.lock:
                    if attempt.ended:
                        return
                    loop.submit(_request(attempt))
                    attempt.loop = loop
                attempt.over.wait()
        except ModelLoadFailed as error:
            self._end(attempt, "error", code=error.code, error=str(error))
        except InvalidRequest as error:
            self._end(attempt, "error", code="invalid_request", error=str(error))
        except EngineStopped as error:
            self._end(attempt, "error", code="engine_failed", error=str(error))

    def _stop(self, attempt: Attempt) -> None:
        with attempt.lock:
            loop = attempt.loop
        if loop is not None:
            loop.abort(attempt.id)
        else:
            self._end(attempt, "abort")

    def _end(
        self, attempt: Attempt, reason: wire.FinishReason, *, code: str | None = None, error: str | None = None
    ) -> None:
        """Ends an attempt from here, once."""
        with attempt.lock:
            if attempt.ended:
                return
            attempt.ended = True
        self._writer.put([attempt.last_output(reason, code=code, error=error)])


def _request(attempt: Attempt) -> Request:
    spec = attempt.spec
    return Request(
        id=attempt.id,
        prompt_ids=spec.prompt_ids,
        heard_ids=spec.heard_ids,
        sampling=spec.sampling,
        deadline=spec.deadline,
        task=spec.task,
        lengths=spec.lengths,
        adapter=spec.release.digest if spec.release.base else None,
    )
