"""The attempts that this worker has in hand: accepted, and their last word not yet written."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

import redis

from inference import wire
from inference.engine import EngineLoop, Output

CLAIM = """
local stored = tonumber(redis.call('GET', KEYS[1]) or '0')
if tonumber(ARGV[1]) <= stored then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
return 1
"""


@dataclass(eq=False, slots=True)
class Attempt:
    """An attempt to serve a run, from its claim to its last chunk.

    ``loading`` is the progress of its model, 0 to 1, while it is not in an engine; ``loop`` is where it runs. ``told`` counts the
    output tokens of the run that were handed to Redis, ``spoke_at`` is when (monotonic seconds).
    """

    spec: wire.CompletionSpec
    loading: float | None = None
    loop: EngineLoop | None = None
    ended: bool = False  # its last Output is on its way, from here or from its engine's failure
    told: int = 0
    spoke_at: float = field(default_factory=time.monotonic)
    over: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.told = len(self.spec.heard_ids)

    @property
    def id(self) -> str:
        """Its name in the engine: an old attempt of a run and a new one are two."""
        return f"{self.spec.run_id}:{self.spec.epoch}"

    def last_output(self, reason: wire.FinishReason, *, code: str | None = None, error: str | None = None) -> Output:
        """The end of an attempt that no engine ends."""
        usage = wire.Usage(prompt_tokens=len(self.spec.prompt_ids), completion_tokens=self.told)
        return Output(id=self.id, index=self.told, finish_reason=reason, usage=usage, error_code=code, error=error)


class Attempts:
    """All of them, by id. Safe from any thread."""

    def __init__(self, client: redis.Redis) -> None:
        self._by_id: dict[str, Attempt] = {}
        self._lock = threading.Lock()
        self._redis = client
        self._claim = client.register_script(CLAIM)

    def __len__(self) -> int:
        return len(self._by_id)

    def get(self, attempt_id: str) -> Attempt | None:
        return self._by_id.get(attempt_id)

    def all(self) -> list[Attempt]:
        with self._lock:
            return list(self._by_id.values())

    def claim(self, attempt: Attempt) -> bool:
        """Takes an attempt in hand, unless it was started or given up before. Raises :class:`redis.RedisError`."""
        with self._lock:
            if attempt.id in self._by_id:
                return False  # Redis forgot the claim, and the message came twice
            self._by_id[attempt.id] = attempt  # before the claim: an abort that comes meanwhile finds it
        claimed = False
        try:
            claimed = bool(
                self._claim(keys=[wire.claim_key(attempt.spec.run_id)], args=[attempt.spec.epoch, wire.CLAIM_TTL_S])
            )
        finally:
            if not claimed:
                self.remove(attempt)
        return claimed

    def superseded(self) -> list[Attempt]:
        """Those whose run was claimed under a higher epoch: nobody listens to them. Raises :class:`redis.RedisError`."""
        attempts = self.all()
        if not attempts:
            return []
        stored = self._redis.mget([wire.claim_key(attempt.spec.run_id) for attempt in attempts])
        return [
            attempt
            for attempt, epoch in zip(attempts, stored, strict=True)
            if epoch and int(epoch) > attempt.spec.epoch
        ]

    def remove(self, attempt: Attempt) -> None:
        """Its last word is written, or will never be."""
        with self._lock:
            self._by_id.pop(attempt.id, None)
        attempt.over.set()
