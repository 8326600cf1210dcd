"""Tokens that were taken from a key's rate and not used: given back a few times a second, all of a key's runs together."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

import redis.asyncio
from redis.exceptions import RedisError

from store.keys import limits
from store.keys.grants import KeyGrant

INTERVAL_S = 0.1
PATIENCE_S = 5.0  # for one call

log = logging.getLogger(__name__)


class Allowances:
    """What the runs of one process have to give back."""

    def __init__(self, client: redis.asyncio.Redis) -> None:
        self._redis = client
        self._due: dict[int, tuple[KeyGrant, int]] = {}  # by key id: its grant, tokens

    def give_back(self, grant: KeyGrant | None, tokens: int) -> None:
        """Notes it down; returns at once."""
        if grant and grant.tokens_per_minute and tokens > 0:
            _grant, noted = self._due.get(grant.api_key_id, (grant, 0))
            self._due[grant.api_key_id] = (grant, noted + tokens)

    async def run(self) -> None:
        """Gives back until cancelled. What Redis does not take is forgotten: the minute passes anyway."""
        while True:
            await asyncio.sleep(INTERVAL_S)
            due, self._due = self._due, {}
            for grant, tokens in due.values():
                with suppress(RedisError, OSError):
                    async with asyncio.timeout(PATIENCE_S):
                        await limits.give_back(self._redis, grant, tokens=tokens)
