"""What can be called now, and how its prompts become tokens: looked up once, kept for a moment in each process."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass

from django.conf import settings

from inference import wire
from inference.prompt import PromptEncoder
from store.catalog.reads import CallableListing, callable_listing, release_folder
from store.hub.tokens import release_token
from store.runs.database_thread import query

LISTING_TTL_S = 1.0
MAX_NAMES = 10_000  # listings that are kept
MAX_ENCODERS = 32  # tokenizers that are kept, tens of megabytes each
MAX_NAME_CHARS = 200


@dataclass(frozen=True, kw_only=True, slots=True)
class Offer:
    """A listing that can be called, ready to serve."""

    listing: CallableListing
    release: wire.ReleaseRef
    encoder: PromptEncoder


_offers: OrderedDict[str, tuple[float, asyncio.Future[Offer | None]]] = (
    OrderedDict()
)  # by name: good until (monotonic), the answer
_encoders: OrderedDict[str, PromptEncoder] = OrderedDict()  # by release digest
_encoders_lock = threading.Lock()


async def offer_named(name: str) -> Offer | None:
    """The offer of a model's full name. What waits for the same name shares a query. Raises DatabaseError, PromptError, OSError."""
    if len(name) > MAX_NAME_CHARS or "\0" in name:
        return None
    good_until, answer = _offers.get(name, (0.0, None))
    if answer is None or good_until < time.monotonic():
        answer = asyncio.ensure_future(_look_up(name))
        _offers[name] = (time.monotonic() + LISTING_TTL_S, answer)
        answer.add_done_callback(lambda done: _forget_failure(name, done))
        while len(_offers) > MAX_NAMES:
            _offers.popitem(last=False)
    return answer.result() if answer.done() else await asyncio.shield(answer)


def _forget_failure(name: str, done: asyncio.Future[Offer | None]) -> None:
    if done.cancelled() or done.exception():
        _offers.pop(name, None)


async def _look_up(name: str) -> Offer | None:
    return await query(_read, name)


def _read(name: str) -> Offer | None:
    listing = callable_listing(name)
    if listing is None:
        return None
    release = wire.ReleaseRef(
        digest=listing.digest,
        repo_id=listing.name,
        endpoint=settings.INTERNAL_URL,
        token=release_token(listing.release_id),
        size=listing.size,
    )
    return Offer(listing=listing, release=release, encoder=_encoder(listing))


def _encoder(listing: CallableListing) -> PromptEncoder:
    with _encoders_lock:
        if listing.digest not in _encoders:
            _encoders[listing.digest] = PromptEncoder.from_folder(release_folder(listing.release_id))
        _encoders.move_to_end(listing.digest)
        if len(_encoders) > MAX_ENCODERS:
            _encoders.popitem(last=False)
        return _encoders[listing.digest]
