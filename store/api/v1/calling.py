"""From a parsed request to an open run: the model, the prompt's tokens, the limits of the key, the hold."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import msgspec
from django.http import HttpRequest

from inference import wire
from inference.errors import PromptError
from inference.prompt import PromptEncoder
from store.api.v1.parsing import ChatRequest, CompletionRequest, InvalidField
from store.errors import StoreError, Unavailable
from store.keys import limits
from store.keys.grants import KeyGrant, RateState
from store.runs.books import ModelNotFound, ReplayKey
from store.runs.calls import Call, ContextExceeded
from store.runs.gateway import Gateway
from store.runs.models import Endpoint
from store.runs.offers import Offer, offer_named
from store.runs.streams import RunStream

INLINE_CHARS = 2000  # shorter prompts are tokenized on the event loop: a thread costs more
LEAST_TOP_P = 1e-6  # 0 means the likeliest token
MAX_REPLAY_KEY = 255


@dataclass(frozen=True, kw_only=True, slots=True)
class Payer:
    """Who pays for a call: the bearer of a key, or a visitor of the playground."""

    organization_id: int
    user_id: int | None = None
    grant: KeyGrant | None = None

    @classmethod
    def bearer(cls, grant: KeyGrant) -> Payer:
        return cls(organization_id=grant.organization_id, grant=grant)


async def opened(grant: KeyGrant, listing_name: str) -> Offer:
    """The model, if the key opens it. Raises ModelNotFound."""
    offer = await offer_named(listing_name)
    if offer is None or offer.listing.listing_id not in grant.listing_ids:
        raise ModelNotFound(f"The model '{listing_name[:200]}' does not exist, or this key does not open it.", param="model")
    return offer


async def open_chat(
    gateway: Gateway, request: ChatRequest, payer: Payer, offer: Offer, *, endpoint: Endpoint, request_id: str, replay: ReplayKey | None
) -> tuple[RunStream, RateState]:
    """Raises the StoreError for which the call was refused."""
    messages = [
        {
            "role": "system" if message.role == "developer" else message.role,
            "content": message.content if isinstance(message.content, str) else [{"type": "text", "text": p.text} for p in message.content],
        }
        for message in request.messages
    ]
    chars = sum(len(m.content) if isinstance(m.content, str) else sum(len(p.text) for p in m.content) for m in request.messages)
    prompt_ids = await _tokens(lambda encoder: encoder.encode_chat(messages), offer, chars)
    asked = "max_completion_tokens" if request.max_completion_tokens is not None else "max_tokens"
    logprobs = (request.top_logprobs or 0) if request.logprobs else None
    ...
