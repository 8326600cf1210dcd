"""What can be called now, and how its prompts become tokens: looked up once, kept for a moment in each process."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from django.conf import settings

from inference import wire
from inference.errors import PromptError
from inference.prompt import PromptEncoder
from store.catalog.reads import CallableListing, callable_listing, release_folder
from store.errors import Unavailable
from store.hub.tokens import release_token
from store.runs.database_thread import query

LISTING_TTL_S = 1.0
MAX_NAMES = 10_000  # listings that are kept
MAX_ENCODERS = 32  # tokenizers that are kept, tens of megabytes each
MAX_NAME_CHARS = 200
TOKEN_REUSED_S = 60  # far below RELEASE_TOKEN_S

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Offer:
    """A listing that can be called, ready to serve."""

    listing: CallableListing
    release: wire.ReleaseRef
    encoder: PromptEncoder


Lookup = asyncio.Future[CallableListing | None]
_listings: OrderedDict[str, tuple[float, Lookup]] = OrderedDict()  # by name: good until (monotonic), the answer
_encoders: OrderedDict[str, PromptEncoder] = OrderedDict()  # by release digest
_loading = threading.Lock()


Find = Callable[[str], CallableListing | None]


async def listing_named(name: str, *, find: Find = callable_listing) -> CallableListing | None:
    """What ``find`` says a name is, if it can be called; whoever asks for the same name shares a query. Raises DatabaseError."""
    if len(name) > MAX_NAME_CHARS or "\0" in name:
        return None
    good_until, answer = _listings.get(name, (0.0, None))
    if answer is None or good_until < time.monotonic():
        answer = asyncio.ensure_future(query(find, name))
        _listings[name] = (time.monotonic() + LISTING_TTL_S, answer)
        answer.add_done_callback(lambda done: _forget_failure(name, done))
        while len(_listings) > MAX_NAMES:
            _listings.popitem(last=False)
    return answer.result() if answer.done() else await asyncio.shield(answer)


def forget_name(name: str) -> None:
    """It is asked for anew the next time."""
    _listings.pop(name, None)


def _forget_failure(name: str, done: Lookup) -> None:
    if done.cancelled() or done.exception():
        _listings.pop(name, None)


async def offer_of(listing: CallableListing) -> Offer:
    """What serving a listing takes. Raises Unavailable where its tokenizer cannot be had."""
    encoder = _encoders.get(listing.digest)
    if encoder is None:
        try:
            encoder = await query(_load, listing)
        except (OSError, PromptError) as error:
            log.exception("the tokenizer of %s", listing.name)
            raise Unavailable("This model's tokenizer cannot be read.") from error
    return Offer(listing=listing, release=release_ref(listing, int(time.monotonic() / TOKEN_REUSED_S)), encoder=encoder)


@lru_cache(maxsize=1024)
def release_ref(listing: CallableListing, _period: int) -> wire.ReleaseRef:
    """Where workers get the release, and its base if it is an adapter, with tokens that are signed anew in each period."""
    base = None
    if listing.base_release_id:
        base = wire.ReleaseRef(
            digest=listing.base_digest,
            repo_id=listing.base_name,
            endpoint=settings.INTERNAL_URL,
            token=release_token(listing.base_release_id),
            size=listing.base_size,
        )
    return wire.ReleaseRef(
        digest=listing.digest,
        repo_id=listing.name,
        endpoint=settings.INTERNAL_URL,
        token=release_token(listing.release_id),
        size=listing.size,
        base=base,
    )


def _load(listing: CallableListing) -> PromptEncoder:
    with _loading:
        if listing.digest not in _encoders:
            _encoders[listing.digest] = PromptEncoder.from_folder(release_folder(listing.release_id))
            while len(_encoders) > MAX_ENCODERS:
                _encoders.popitem(last=False)
        return _encoders[listing.digest]
