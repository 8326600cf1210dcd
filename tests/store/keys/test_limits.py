"""Requests and tokens per minute are exact, in one call, whatever Redis forgets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from redis.asyncio import Redis

from store.errors import Unavailable
from store.keys.grants import KeyGrant, RateLimited
from store.keys.limits import MINUTE_US, give_back, rate_key, take
from tests.servers import Servers


@pytest.fixture
async def redis(servers: Servers) -> AsyncGenerator[Redis, None]:
    client: Redis = Redis.from_url(servers.redis_url)
    await client.flushall()
    yield client
    await client.aclose()


def grant(requests: int | None = None, tokens: int | None = None) -> KeyGrant:
    return KeyGrant(
        api_key_id=7,
        organization_id=1,
        created_by_id=1,
        prefix="gst_x",
        listing_ids=frozenset(),
        requests_per_minute=requests,
        tokens_per_minute=tokens,
        allowed_networks=(),
        expires_at=None,
    )


async def rewind(redis: Redis, microseconds: int) -> None:
    """Lets time pass for the key's buckets, to the microsecond."""
    await redis.hincrby(rate_key(7), "t", -microseconds)


@pytest.mark.parametrize("limit", [1, 7, 60, 999])
async def test_a_full_allowance_fits_at_once_and_no_more(redis: Redis, limit: int) -> None:
    outcomes = await asyncio.gather(
        *(take(redis, grant(limit), tokens=1) for _ in range(limit + 20)), return_exceptions=True
    )
    refused = [outcome for outcome in outcomes if isinstance(outcome, RateLimited)]
    passed_us = 10_000_000  # what leaked while the calls were made: far less
    assert 20 - limit * passed_us / MINUTE_US <= len(refused) <= 20
    assert all(0 < error.retry_after_s <= 60 / limit for error in refused if error.retry_after_s is not None)


async def test_one_more_fits_when_the_refusal_says_so(redis: Redis) -> None:
    for _ in range(7):
        await take(redis, grant(7), tokens=1)
    with pytest.raises(RateLimited) as refused:
        await take(redis, grant(7), tokens=1)
    wait_s = refused.value.retry_after_s
    assert wait_s is not None
    assert 8.0 < wait_s <= 60 / 7 + 1e-6
    await rewind(redis, int(wait_s * 1e6) + 1)
    await take(redis, grant(7), tokens=1)
    with pytest.raises(RateLimited):
        await take(redis, grant(7), tokens=1)


async def test_over_many_minutes_exactly_the_limit_fits(redis: Redis) -> None:
    """Time is passed by hand: 1,000 steps of 0.6 s are ten minutes, so 70 more than the first seven, give or take real time."""
    passed = 0
    for _ in range(1000):
        try:
            await take(redis, grant(7), tokens=1)
            passed += 1
        except RateLimited:
            pass
        await rewind(redis, 600_000)
    assert 76 <= passed <= 78


async def test_tokens_are_limited_beside_requests_and_both_or_none_are_taken(redis: Redis) -> None:
    await take(redis, grant(10, 1000), tokens=900)
    with pytest.raises(RateLimited) as refused:
        await take(redis, grant(10, 1000), tokens=200)
    assert refused.value.retry_after_s == pytest.approx(6, abs=0.5)
    state = await take(redis, grant(10, 1000), tokens=100)
    assert state.remaining_requests == 8  # the refused one took none
    assert state.remaining_tokens is not None
    assert state.remaining_tokens <= 10


async def test_what_was_not_used_is_given_back(redis: Redis) -> None:
    await take(redis, grant(None, 1000), tokens=1000)
    await give_back(redis, grant(None, 1000), tokens=600)
    state = await take(redis, grant(None, 1000), tokens=600)
    assert state.limit_requests is None
    await give_back(redis, grant(None, 1000), tokens=10**6)
    assert (await take(redis, grant(None, 1000), tokens=1)).remaining_tokens == 999


async def test_a_request_above_the_limit_is_refused_without_a_time(redis: Redis) -> None:
    with pytest.raises(RateLimited) as refused:
        await take(redis, grant(None, 1000), tokens=1001)
    assert refused.value.retry_after_s is None
    assert "1001" in refused.value.message


async def test_as_many_tokens_as_are_there_are_taken_for_who_leaves_it_open(redis: Redis) -> None:
    assert (await take(redis, grant(None, 1000), tokens=5000, at_least=101)).taken_tokens == 1000
    with pytest.raises(RateLimited) as refused:
        await take(redis, grant(None, 1000), tokens=5000, at_least=101)
    assert refused.value.retry_after_s == pytest.approx(101 * 60 / 1000, abs=0.5)


async def test_a_key_without_limits_costs_no_call(redis: Redis) -> None:
    state = await take(redis, grant(), tokens=50)
    assert state.limit_requests is state.limit_tokens is None
    assert state.taken_tokens == 50
    assert await redis.dbsize() == 0


async def test_flushed_redis_forgets_and_goes_on(redis: Redis) -> None:
    await take(redis, grant(1), tokens=1)
    await redis.flushall()
    await redis.script_flush()
    assert (await take(redis, grant(1), tokens=1)).remaining_requests == 0


async def test_a_bucket_that_is_full_again_leaves_nothing_behind(redis: Redis) -> None:
    await take(redis, grant(60, 60_000), tokens=1)
    assert 1000 < await redis.pttl(rate_key(7)) <= 2100
    await take(redis, grant(60, 60_000), tokens=30_000)
    assert 28_000 < await redis.pttl(rate_key(7)) <= 31_100


async def test_a_lower_limit_counts_what_was_used_under_the_higher(redis: Redis) -> None:
    for _ in range(20):
        await take(redis, grant(100), tokens=1)
    with pytest.raises(RateLimited) as refused:
        await take(redis, grant(10), tokens=1)
    assert refused.value.retry_after_s == pytest.approx(66, abs=2)


async def test_redis_that_is_away_makes_the_store_unavailable(servers: Servers) -> None:
    client: Redis = Redis.from_url("unix:///tmp/no-such-socket")
    with pytest.raises(Unavailable):
        await take(client, grant(1), tokens=1)
    await give_back(client, grant(None, 1), tokens=1)
    await client.aclose()


def test_limits_fit_the_integers_of_lua() -> None:
    from store.keys.actions import MAX_RATE

    largest: Any = MAX_RATE * MINUTE_US
    assert largest < 2**53
