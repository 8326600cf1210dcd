"""From the secret to the grant: fast, and for less than a second out of date."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta

import pytest
from asgiref.sync import sync_to_async
from django.utils import timezone

from store.accounts.models import User
from store.keys.actions import IssuedKey, parse_network, revoke_key
from store.keys.authenticate import authenticate, check_network
from store.keys.grants import InvalidKey, KeyGrant, NetworkDenied
from store.keys.models import ApiKey
from store.keys.secret import new_secret

in_database = pytest.mark.django_db(transaction=True)  # another thread reads what is committed


async def until_refused(secret: str) -> float:
    """Uses the key until it is refused; returns when the last use began that was granted, on the monotonic clock."""
    granted = 0.0
    try:
        while True:
            began = time.monotonic()
            await authenticate(secret, address="192.0.2.1")
            granted = began
            await asyncio.sleep(0.005)
    except InvalidKey:
        return granted


@in_database
async def test_a_live_key_is_granted(issued_key: IssuedKey) -> None:
    grant = await authenticate(issued_key.secret, address="192.0.2.1")
    assert grant.api_key_id == issued_key.api_key.id


@in_database
@pytest.mark.parametrize("secret", ["", "sk-nonsense", new_secret()], ids=["empty", "nonsense", "never issued"])
async def test_an_unknown_key_is_refused(db: None, secret: str) -> None:
    with pytest.raises(InvalidKey):
        await authenticate(secret, address="192.0.2.1")


@in_database
async def test_a_revoked_key_is_dead_within_a_second(issued_key: IssuedKey, consumer: User) -> None:
    await authenticate(issued_key.secret, address="192.0.2.1")
    await sync_to_async(revoke_key)(api_key=issued_key.api_key, user=consumer)
    revoked = time.monotonic()
    assert await until_refused(issued_key.secret) < revoked + 1


@in_database
async def test_a_kept_grant_expires_on_time(issued_key: IssuedKey) -> None:
    expires_at = timezone.now() + timedelta(seconds=0.3)
    await ApiKey.objects.aupdate(expires_at=expires_at)
    await authenticate(issued_key.secret, address="192.0.2.1")
    await until_refused(issued_key.secret)
    assert timezone.now() < expires_at + timedelta(seconds=0.3)


@in_database
async def test_many_that_miss_together_are_all_answered(issued_key: IssuedKey) -> None:
    unknown = [new_secret() for _ in range(20)]
    secrets = [*unknown, *[issued_key.secret] * 200]
    answers = await asyncio.gather(*(authenticate(s, address="192.0.2.1") for s in secrets), return_exceptions=True)
    assert all(isinstance(answer, InvalidKey) for answer in answers[:20])
    assert {answer.api_key_id for answer in answers[20:]} == {issued_key.api_key.id}  # type: ignore[union-attr]


@in_database
async def test_one_who_gives_up_does_not_take_the_others_along(issued_key: IssuedKey) -> None:
    first, second = (asyncio.create_task(authenticate(issued_key.secret, address="192.0.2.1")) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    assert (await second).api_key_id == issued_key.api_key.id


@pytest.mark.parametrize(
    ("networks", "address", "allowed"),
    [
        (["10.0.0.0/8"], "10.255.0.1", True),
        (["10.0.0.0/8"], "11.0.0.1", False),
        (["10.0.0.0/8"], "::ffff:10.0.0.1", True),
        (["10.0.0.0/8"], "::ffff:11.0.0.1", False),
        (["2001:db8::/32"], "2001:db8:1::5", True),
        (["2001:db8::/32"], "2001:db9::5", False),
        (["2001:db8::/32"], "10.0.0.1", False),
        (["fe80::/10"], "fe80::1%eth0", True),
        (["10.0.0.0/8", "2001:db8::/32"], "2001:db8::1", True),
        (["0.0.0.0/0"], "2001:db8::1", False),
        (["10.0.0.0/8"], "", False),
        (["10.0.0.0/8"], "unix:", False),
    ],
)
def test_a_key_is_used_from_its_networks_only(networks: list[str], address: str, allowed: bool) -> None:
    grant = KeyGrant(
        api_key_id=1,
        organization_id=1,
        created_by_id=1,
        prefix="gst_x",
        listing_ids=frozenset(),
        requests_per_minute=None,
        tokens_per_minute=None,
        allowed_networks=tuple(parse_network(network) for network in networks),
        expires_at=None,
    )
    if allowed:
        check_network(grant, address)
    else:
        with pytest.raises(NetworkDenied):
            check_network(grant, address)


@in_database
async def test_another_network_is_refused_before_anything_else(issued_key: IssuedKey) -> None:
    await ApiKey.objects.aupdate(allowed_networks=["10.0.0.0/8"])
    assert await authenticate(issued_key.secret, address="10.0.0.1")
    with pytest.raises(NetworkDenied):
        await authenticate(issued_key.secret, address="192.0.2.1")
