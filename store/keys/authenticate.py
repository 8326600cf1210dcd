"""From the secret that a client shows to what it may do.

A process keeps what it read for less than a second, so a revoked key is dead everywhere within one. Requests that miss
together are looked up together: one query at a time, in a thread of its own.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from weakref import WeakKeyDictionary

from django.contrib.postgres.aggregates import ArrayAgg
from django.db import InterfaceError, OperationalError, connection
from django.db.models import Q
from django.utils import timezone

from store.errors import Unavailable
from store.keys.actions import parse_network
from store.keys.grants import InvalidKey, KeyGrant, NetworkDenied
from store.keys.models import ApiKey
from store.keys.secret import digest_of

KEPT_S = 0.8  # counted from before the query: with the query itself less than a second
MOST_KEPT = 20_000  # grants, some 1 kB each
RETRY_S = 1.0


async def authenticate(secret: str, *, address: str) -> KeyGrant:
    """The grant of a live key, used from ``address``. Raises InvalidKey, NetworkDenied; Unavailable where the database is away."""
    digest = digest_of(secret)
    if digest is None:
        raise InvalidKey
    grant = await _lookup_of(asyncio.get_running_loop()).find(digest)
    if grant is None or (grant.expires_at is not None and grant.expires_at <= timezone.now()):
        raise InvalidKey
    if grant.allowed_networks:
        check_network(grant, address)
    return grant


def check_network(grant: KeyGrant, address: str) -> None:
    """Raises NetworkDenied where ``address`` is in none of the grant's networks. IPv4 inside IPv6 is IPv4."""
    try:
        caller: IPv4Address | IPv6Address = ip_address(address.partition("%")[0])
    except ValueError:
        raise NetworkDenied from None
    if isinstance(caller, IPv6Address) and caller.ipv4_mapped is not None:
        caller = caller.ipv4_mapped
    if not any(caller in network for network in grant.allowed_networks):
        raise NetworkDenied


def opens_now(api_key_id: int, listing_id: int) -> bool:
    """Whether the key opens the listing at this moment, whatever a grant that was kept says."""
    return ApiKey.objects.live().filter(pk=api_key_id, listings=listing_id).exists()


def read_grants(digests: Sequence[bytes]) -> dict[bytes, KeyGrant]:
    """The grants of live keys by digest: one query. An old secret that is still good after a rotation opens the same."""
    now = timezone.now()
    of_now, of_old = Q(digest__in=digests), Q(old_digest__in=digests, old_until__gt=now)
    rows = ApiKey.objects.live().filter(of_now | of_old).annotate(opened=ArrayAgg("listings", default=[]))
    found = {}
    for row in rows:
        grant = _grant(row)
        found[bytes(row.digest)] = grant
        if row.old_digest is not None and row.old_until is not None and row.old_until > now:
            found[bytes(row.old_digest)] = grant
    return found


def _grant(row: ApiKey) -> KeyGrant:
    opened: list[int | None] = row.opened  # type: ignore[attr-defined]  # the annotation of read_grants
    return KeyGrant(
        api_key_id=row.id,
        organization_id=row.organization_id,
        created_by_id=row.created_by_id,
        prefix=row.prefix,
        listing_ids=frozenset(listing_id for listing_id in opened if listing_id is not None),
        requests_per_minute=row.requests_per_minute,
        tokens_per_minute=row.tokens_per_minute,
        allowed_networks=tuple(parse_network(network) for network in row.allowed_networks),
        expires_at=row.expires_at,
    )


@dataclass(frozen=True, slots=True)
class _Kept:
    grant: KeyGrant
    until: float  # time.monotonic


class _Lookup:
    """The grants that one event loop keeps, and the digests that wait for the next query. Unknown keys are not kept."""

    def __init__(self) -> None:
        self._kept: OrderedDict[bytes, _Kept] = OrderedDict()  # the longest kept first
        self._waiting: dict[bytes, asyncio.Future[KeyGrant | None]] = {}
        self._reader: asyncio.Task[None] | None = None

    async def find(self, digest: bytes) -> KeyGrant | None:
        kept = self._kept.get(digest)
        if kept is not None and time.monotonic() < kept.until:
            return kept.grant
        future = self._waiting.get(digest)
        if future is None:
            future = self._waiting[digest] = asyncio.get_running_loop().create_future()
            if self._reader is None:
                self._reader = asyncio.create_task(self._read_all())
        return await asyncio.shield(future)  # others may wait for the same key

    async def _read_all(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            wanted, self._waiting = self._waiting, {}
            until = time.monotonic() + KEPT_S
            try:
                found = await loop.run_in_executor(_reader_thread, _read_in_thread, list(wanted))
            except Exception as error:
                for future in wanted.values():
                    future.set_exception(error)
                    future.exception()  # whoever asked may be gone: nobody has to hear of it
                continue
            for digest, future in wanted.items():
                future.set_result(found.get(digest))
            self._keep(found, until)
        self._reader = None

    def _keep(self, found: dict[bytes, KeyGrant], until: float) -> None:
        for digest, grant in found.items():
            self._kept[digest] = _Kept(grant, until)
            self._kept.move_to_end(digest)
        now = time.monotonic()
        while self._kept and (len(self._kept) > MOST_KEPT or next(iter(self._kept.values())).until < now):
            self._kept.popitem(last=False)


_lookups: WeakKeyDictionary[asyncio.AbstractEventLoop, _Lookup] = WeakKeyDictionary()
_reader_thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="keys")


def _lookup_of(loop: asyncio.AbstractEventLoop) -> _Lookup:
    lookup = _lookups.get(loop)
    if lookup is None:
        lookup = _lookups[loop] = _Lookup()
    return lookup


def _read_in_thread(digests: Sequence[bytes]) -> dict[bytes, KeyGrant]:
    """Raises Unavailable. A connection that broke is closed, and tried once more: the server may have been restarted."""
    for is_last in (False, True):
        try:
            return read_grants(digests)
        except (OperationalError, InterfaceError) as error:
            connection.close()
            if is_last:
                raise Unavailable(retry_after_s=RETRY_S) from error
    raise AssertionError("unreachable")
