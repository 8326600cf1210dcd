"""What the store and the workers that train say to each other through Redis, which may be flushed at any moment: it is said again."""

from __future__ import annotations

import logging

import redis
from django.conf import settings
from redis.exceptions import RedisError

from inference import wire
from store.tuning.models import TuneJob

CONTROL_TTL_S = 7 * 24 * 3600
PATIENCE_S = 5.0

logger = logging.getLogger(__name__)


def tell_worker(job: TuneJob) -> bool:
    """Tells whoever has the job what is wanted of it, and that every older attempt is over. False where Redis is away."""
    control = wire.Control(epoch=job.attempts, wanted=job.wanted)  # type: ignore[arg-type]  # Wanted has the same words
    try:
        with _client() as client:
            client.set(wire.control_key(job.pk), control.encode(), ex=CONTROL_TTL_S)
    except (RedisError, OSError) as error:
        logger.warning("%s: its worker is not told: %s", job, error)
        return False
    return True


def tune_slots() -> int:
    """How many trainings the workers that report can have in hand at once. None while Redis is away."""
    try:
        with _client() as client:
            names = [name.decode() for name in client.smembers(wire.REPLICAS)]
            reports = client.mget([wire.REPLICA_PREFIX + name for name in names]) if names else []
    except (RedisError, OSError) as error:
        logger.warning("the workers cannot be seen: %s", error)
        return 0
    return sum(_slots(report) for report in reports if report)


def _slots(report: bytes) -> int:
    try:
        return wire.Replica.decode(report).tune_slots
    except wire.WireError as error:
        logger.warning("a worker's report cannot be read: %s", error)
        return 0


def _client() -> redis.Redis:
    return redis.Redis.from_url(settings.REDIS_URL, socket_timeout=PATIENCE_S, socket_connect_timeout=2)
