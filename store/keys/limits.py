"""Requests and tokens per minute: GCRA, as a leaky bucket of exact integers, in one Lua call.

A key with a limit of n per minute has a bucket that holds n and leaks n per minute: a full allowance can be used at once, then one
more fits every 1/n minutes. (https://en.wikipedia.org/wiki/Generic_cell_rate_algorithm: the virtual schedule and the leaky
bucket are the same.) Levels are counted in 1/60,000,000 of a request or token, so that a microsecond leaks a whole number of them. Both
buckets are taken together or not at all. Redis may forget everything at any moment: then the allowances are full again.
"""

from __future__ import annotations

import hashlib
import math
from contextlib import suppress

from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError
from redis.exceptions import TimeoutError as RedisTimeoutError

from store.errors import Unavailable
from store.keys.grants import KeyGrant, RateLimited, RateState

MINUTE_US = 60_000_000
RETRY_S = 1.0

# KEYS[1]: a hash {t: microseconds, r: level of requests, k: level of tokens}.
# ARGV: request limit, requests, token limit, tokens, least tokens; a limit of 0 is none. Requests and tokens below 0 give back.
# Where not all tokens fit, as many are taken as do, if that is at least the least.
# Returns {microseconds until it fits or 0, -1 for never; level of requests; level of tokens; tokens taken}.
SCRIPT = """
local minute = 60000000
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local was = redis.call('HMGET', KEYS[1], 't', 'r', 'k')
local elapsed = math.min(math.max(now - (tonumber(was[1]) or now), 0), minute)
local limits, costs = {tonumber(ARGV[1]), tonumber(ARGV[3])}, {tonumber(ARGV[2]), tonumber(ARGV[4])}
local least = tonumber(ARGV[5])
local levels, wait = {}, 0
for i = 1, 2 do
  levels[i] = math.max((tonumber(was[i + 1]) or 0) - elapsed * limits[i], 0)
  if limits[i] > 0 then
    if i == 2 and costs[2] > least then
      costs[2] = math.max(math.min(costs[2], math.floor((limits[2] * minute - levels[2]) / minute)), least)
    end
    local over = levels[i] + costs[i] * minute - limits[i] * minute
    if costs[i] > limits[i] then wait = -1
    elseif over > 0 and wait >= 0 then wait = math.max(wait, math.ceil(over / limits[i])) end
  end
end
if wait == 0 then
  local ttl = 1
  for i = 1, 2 do
    if limits[i] > 0 then
      levels[i] = math.max(levels[i] + costs[i] * minute, 0)
      ttl = math.max(ttl, math.ceil(levels[i] / limits[i] / 1000))
    end
  end
  local text = function(level) return string.format('%.0f', level) end
  redis.call('HSET', KEYS[1], 't', text(now), 'r', text(levels[1]), 'k', text(levels[2]))
  redis.call('PEXPIRE', KEYS[1], ttl + 1000)
end
return {wait, levels[1], levels[2], costs[2]}
"""
SHA = hashlib.sha1(SCRIPT.encode(), usedforsecurity=False).hexdigest()


def rate_key(api_key_id: int) -> str:
    """The Redis key of an API key's two buckets."""
    return f"rate:{api_key_id}"


async def take(redis: Redis, grant: KeyGrant, *, tokens: int, at_least: int | None = None) -> RateState:
    """Takes one request and ``tokens`` tokens from the key's allowances.

    With ``at_least``, as many of ``tokens`` as are there now, but no fewer than that: ``RateState.taken_tokens`` says how many.
    Raises RateLimited, and then nothing is taken; Unavailable where Redis is away.
    """
    if grant.requests_per_minute is None and grant.tokens_per_minute is None:
        return RateState(taken_tokens=tokens)
    least = tokens if at_least is None else min(at_least, tokens)
    wait_us, requests, level, taken = await _call(redis, grant, requests=1, tokens=tokens, least=least)
    if wait_us < 0:
        raise RateLimited(f"This request needs {least} tokens; this key may use {grant.tokens_per_minute} in a minute.")
    if wait_us:
        raise RateLimited(retry_after_s=wait_us / 1e6)
    return _state(grant, requests, level, taken)


async def give_back(redis: Redis, grant: KeyGrant, *, tokens: int) -> None:
    """Returns tokens that were taken and not used. Where Redis is away nothing is returned: the minute passes anyway."""
    if grant.tokens_per_minute is None or tokens <= 0:
        return
    with suppress(Unavailable):
        await _call(redis, grant, requests=0, tokens=-tokens, least=-tokens)


async def _call(redis: Redis, grant: KeyGrant, *, requests: int, tokens: int, least: int) -> tuple[int, int, int, int]:
    limits = grant.requests_per_minute or 0, grant.tokens_per_minute or 0
    arguments = (1, rate_key(grant.api_key_id), limits[0], requests, limits[1], tokens, least)
    try:
        try:
            answer = await redis.evalsha(SHA, *arguments)
        except NoScriptError:  # Redis was flushed or restarted
            answer = await redis.eval(SCRIPT, *arguments)
    except (RedisConnectionError, RedisTimeoutError) as error:
        raise Unavailable(retry_after_s=RETRY_S) from error
    wait_us, request_level, token_level, taken = answer
    return int(wait_us), int(request_level), int(token_level), int(taken)


def _state(grant: KeyGrant, request_level: int, token_level: int, taken: int) -> RateState:
    of_requests, of_tokens = grant.requests_per_minute, grant.tokens_per_minute
    return RateState(
        limit_requests=of_requests,
        remaining_requests=None if of_requests is None else of_requests - math.ceil(request_level / MINUTE_US),
        reset_requests_s=0.0 if of_requests is None else request_level / of_requests / 1e6,
        limit_tokens=of_tokens,
        remaining_tokens=None if of_tokens is None else of_tokens - math.ceil(token_level / MINUTE_US),
        reset_tokens_s=0.0 if of_tokens is None else token_level / of_tokens / 1e6,
        taken_tokens=taken,
    )
