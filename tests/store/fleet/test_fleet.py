"""Where a run is sent, by what the workers report."""

from __future__ import annotations

import dataclasses
import time

import redis.asyncio

from inference import wire
from store.fleet.fleet import LEAST_RETRY_S, MOST_RETRY_S, NO_WORKERS_RETRY_S, Fleet, reported
from tests.servers import Servers

DIGEST = f"sha256:{7:064x}"
REPLICA = wire.Replica(
    worker="one", device="cpu", resident=(DIGEST,), loading=(), running=0, waiting=0, slots=4,
    memory_used=0, memory_limit=1, tokens_per_s=0.0, at=time.time(),
)  # fmt: skip


def test_a_resident_release_has_a_queue_of_its_own() -> None:
    fleet = Fleet()
    fleet.update([REPLICA])
    assert fleet.route(DIGEST) == wire.serve_queue(DIGEST)
    assert fleet.route(f"sha256:{8:064x}") == wire.COLD_QUEUE


def test_an_adapter_is_sent_to_the_queue_of_its_base() -> None:
    fleet = Fleet()
    fleet.update([REPLICA])
    base = wire.ReleaseRef(digest=DIGEST, repo_id="acme/bard", endpoint="http://store", token="a", size=1)
    adapter = dataclasses.replace(base, digest=f"sha256:{8:064x}", base=base)
    assert fleet.route(adapter.engine_digest) == fleet.route(base.engine_digest) == wire.serve_queue(DIGEST)


def test_a_fleet_that_nobody_reports_is_gone_only_after_a_while() -> None:
    fleet = Fleet()
    assert not fleet.has_workers()
    fleet.update([REPLICA])
    fleet.update([])
    assert fleet.has_workers()
    assert fleet.route(DIGEST) == wire.COLD_QUEUE


def test_the_wait_grows_with_the_queue_and_is_bounded() -> None:
    fleet = Fleet()
    assert fleet.retry_after_s() == NO_WORKERS_RETRY_S
    fleet.update([REPLICA])
    idle = fleet.retry_after_s()
    fleet.update([dataclasses.replace(REPLICA, running=4, waiting=4)])
    assert LEAST_RETRY_S == idle < fleet.retry_after_s()
    fleet.update([dataclasses.replace(REPLICA, waiting=10**6)])
    assert fleet.retry_after_s() == MOST_RETRY_S


async def test_reports_that_expired_or_make_no_sense_are_left_out(servers: Servers) -> None:
    client = redis.asyncio.Redis.from_url(servers.redis_url)
    await client.flushall()  # workers of other tests may have reported a moment ago
    await client.sadd(wire.REPLICAS, "one", "gone", "odd")
    await client.set(wire.REPLICA_PREFIX + "one", REPLICA.encode())
    await client.set(wire.REPLICA_PREFIX + "odd", "{}")
    assert await reported(client) == [REPLICA]
    assert await client.smembers(wire.REPLICAS) == {b"one", b"odd"}
    await client.flushall()
    assert await reported(client) == []
    await client.aclose()
