"""From a parsed request to an open run: the model, the prompt's tokens, the limits of the key, the hold."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import msgspec
from django.http import HttpRequest
from msgspec import Struct

from inference import wire
from inference.architectures import ENCODERS
from inference.errors import PromptError
from inference.prompt import PromptEncoder
from store.api.v1.parsing import ChatRequest, CompletionRequest, EmbeddingRequest, InvalidField, Message
from store.api.v1.tuned import tuned_named
from store.catalog.reads import CallableListing
from store.errors import Unavailable
from store.keys import limits
from store.keys.authenticate import opens_now
from store.keys.grants import KeyGrant, RateState
from store.runs.books import ModelNotFound, ReplayKey
from store.runs.calls import Call, ContextExceeded
from store.runs.database_thread import query
from store.runs.gateway import Gateway
from store.runs.models import Endpoint
from store.runs.offers import Offer, listing_named, offer_of
from store.runs.streams import RunStream
from store.tuning.names import PREFIX

INLINE_CHARS = 2000  # shorter prompts are tokenized on the event loop: a thread costs more
LEAST_TOP_P = 1e-6  # 0 asks for the likeliest token
MAX_REPLAY_KEY = 255
T = TypeVar("T")
LIMITS_PATIENCE_S = 5.0  # with Redis
MAX_EMBEDDED_TOKENS = 300_000  # of one request for embeddings


@dataclass(frozen=True, kw_only=True, slots=True)
class Caller:
    """Who asks and pays: the bearer of a key, or a visitor of the playground. ``request_id`` is that of the answer."""

    organization_id: int
    request_id: str
    endpoint: Endpoint
    user_id: int | None = None
    grant: KeyGrant | None = None


async def offer_for(grant: KeyGrant, name: str) -> Offer:
    """The model of this name, if the key opens it. Raises ModelNotFound."""
    listing = await (tuned_named(grant, name) if name.startswith(PREFIX) else listing_named(name))
    if listing is None or not (listing.listing_id in grant.listing_ids or await _opens_lately(grant, listing)):
        raise ModelNotFound("The model does not exist, or this key does not open it.", param="model")
    return await offer_of(listing)


async def _opens_lately(grant: KeyGrant, listing: CallableListing) -> bool:
    """Whether the key opens a model that was made after the grant was read: a result is called the moment that its training is done."""
    if not listing.is_private or listing.organization_id != grant.organization_id:
        return False
    return await query(opens_now, grant.api_key_id, listing.listing_id)


async def chat_prompt(request: ChatRequest, offer: Offer) -> list[int]:
    """The tokens of a chat. Raises InvalidField, Unavailable."""
    messages = [_plain(message) for message in request.messages]
    chars = sum(len(message["content"]) for message in messages)
    return await _encode(lambda encoder: encoder.encode_chat(messages), offer, chars)


async def completion_prompt(request: CompletionRequest, offer: Offer) -> list[int]:
    """The tokens of a prompt. Raises InvalidField, Unavailable."""
    prompt = request.prompt
    if isinstance(prompt, list):
        ids = [part for part in prompt if isinstance(part, int)]
        if ids and max(ids) >= offer.encoder.vocab_size:
            raise InvalidField(f"A token of this model is below {offer.encoder.vocab_size}.", param="prompt")
        if ids:
            return ids
        prompt = str(prompt[0])
    return await _encode(lambda encoder: encoder.encode_text(prompt), offer, len(prompt))


async def embedding_prompts(request: EmbeddingRequest, offer: Offer) -> list[list[int]]:
    """The tokens of each text. Raises InvalidField, ContextExceeded, Unavailable."""
    if offer.listing.architecture not in ENCODERS:
        raise InvalidField(f"{offer.listing.name} writes text, and makes no embeddings.", param="model")
    texts = request.texts
    chars = sum(map(len, texts))
    prompts = await _encode(lambda encoder: [_embedded_ids(text, encoder) for text in texts], offer, chars)
    longest, most = max(map(len, prompts)), offer.encoder.context_length
    if longest > most:
        raise ContextExceeded(f"This model reads {most} tokens at most. A text has {longest}.", param="input")
    if sum(map(len, prompts)) > MAX_EMBEDDED_TOKENS:
        raise InvalidField(f"'input' has more than {MAX_EMBEDDED_TOKENS} tokens; send it in parts.", param="input")
    return prompts


def _embedded_ids(text: str | list[int], encoder: PromptEncoder) -> list[int]:
    if isinstance(text, str):
        return encoder.encode_text(text)
    if max(text) >= encoder.vocab_size:
        raise InvalidField(f"A token of this model is below {encoder.vocab_size}.", param="input")
    return text


async def open_embedding(
    gateway: Gateway, prompts: list[list[int]], *, offer: Offer, caller: Caller, replay: ReplayKey | None = None
) -> tuple[RunStream, RateState]:
    """As :func:`open_call`, for a call that makes no token: its texts alone are paid for."""
    prompt_ids = [token for prompt in prompts for token in prompt]
    rates, _room = await _take_limits(gateway, caller.grant, len(prompt_ids), 0, 0)
    call = Call(
        organization_id=caller.organization_id,
        user_id=caller.user_id,
        grant=caller.grant,
        listing_id=offer.listing.listing_id,
        release_id=offer.listing.release_id,
        release=offer.release,
        endpoint=caller.endpoint,
        request_id=caller.request_id,
        is_stream=False,
        prompt_ids=prompt_ids,
        sampling=wire.Sampling(max_tokens=0),
        is_capped=True,
        has_seed=False,
        tokens_taken=rates.taken_tokens,
        replay=replay,
        task="embed",
        lengths=[len(prompt) for prompt in prompts],
    )
    return await _open(gateway, call), rates


async def open_call(
    gateway: Gateway,
    request: ChatRequest | CompletionRequest,
    prompt_ids: list[int],
    *,
    offer: Offer,
    caller: Caller,
    replay: ReplayKey | None = None,
) -> tuple[RunStream, RateState]:
    """Takes the call from the key's limits and the payer's money. Raises the StoreError of the one that is short."""
    if offer.listing.architecture in ENCODERS:
        raise InvalidField(f"{offer.listing.name} makes embeddings, and writes no text.", param="model")
    context_left = _context_left(request, prompt_ids, offer)
    asked = _asked_tokens(request, offer)
    rates, room = await _take_limits(
        gateway, caller.grant, len(prompt_ids), min(asked or context_left, context_left), asked
    )
    call = Call(
        organization_id=caller.organization_id,
        user_id=caller.user_id,
        grant=caller.grant,
        listing_id=offer.listing.listing_id,
        release_id=offer.listing.release_id,
        release=offer.release,
        endpoint=caller.endpoint,
        request_id=caller.request_id,
        is_stream=bool(request.stream),
        prompt_ids=prompt_ids,
        sampling=_sampling(request, room),
        is_capped=asked is not None,
        has_seed=request.seed is not None,
        tokens_taken=rates.taken_tokens,
        replay=replay,
    )
    return await _open(gateway, call), rates


async def _open(gateway: Gateway, call: Call) -> RunStream:
    """Gives the key's tokens back where nothing is made for them."""
    stream = None
    try:
        stream = await gateway.open(call)
        return stream
    finally:
        if stream is None or stream.is_replay:
            gateway.allowances.give_back(call.grant, call.tokens_taken)


def _context_left(request: ChatRequest | CompletionRequest, prompt_ids: list[int], offer: Offer) -> int:
    """Tokens that fit after the prompt. Raises ContextExceeded."""
    most = offer.encoder.context_length
    if len(prompt_ids) >= most:
        raise ContextExceeded(
            f"This model reads {most} tokens at most, and needs room for one more. Your prompt has {len(prompt_ids)}.",
            param="messages" if isinstance(request, ChatRequest) else "prompt",
        )
    return most - len(prompt_ids)


def replay_key(request: HttpRequest, body: Struct) -> ReplayKey | None:
    """The Idempotency-Key of a request, with the digest of what it asks for. Raises InvalidField."""
    key = request.META.get("HTTP_IDEMPOTENCY_KEY")
    if key is None:
        return None
    if not 0 < len(key) <= MAX_REPLAY_KEY or not key.isascii() or not key.isprintable():
        raise InvalidField("An Idempotency-Key is 1 to 255 printable ASCII characters.", param="Idempotency-Key")
    canonical = type(body).__name__.encode() + msgspec.json.encode(body, order="sorted")
    return ReplayKey(key=key, body_sha256=hashlib.sha256(canonical).digest())


async def _take_limits(
    gateway: Gateway, grant: KeyGrant | None, prompt_tokens: int, most: int, asked: int | None
) -> tuple[RateState, int]:
    """Takes from the key's rates; without a limit from the client, what the minute still has is one: (rates, output tokens)."""
    if grant is None:
        return RateState(), most
    least = prompt_tokens + (1 if asked is None else most)
    try:
        async with asyncio.timeout(LIMITS_PATIENCE_S):
            rates = await limits.take(gateway.redis, grant, tokens=prompt_tokens + most, at_least=least)
    except TimeoutError as error:
        raise Unavailable(retry_after_s=LIMITS_PATIENCE_S) from error
    return rates, rates.taken_tokens - prompt_tokens


def _asked_tokens(request: ChatRequest | CompletionRequest, offer: Offer) -> int | None:
    """The client's limit on the answer. Raises InvalidField where the model can never make as many."""
    param, asked = "max_tokens", request.max_tokens
    if isinstance(request, ChatRequest) and request.max_completion_tokens is not None:
        param, asked = "max_completion_tokens", request.max_completion_tokens
    if asked is not None and asked > offer.encoder.context_length:
        most = offer.encoder.context_length
        raise InvalidField(
            f"'{param}' is too large: {asked}. This model reads and writes {most} tokens at most.", param=param
        )
    return asked


def _sampling(request: ChatRequest | CompletionRequest, max_tokens: int) -> wire.Sampling:
    logprobs = request.logprobs
    if isinstance(request, ChatRequest):
        logprobs = (request.top_logprobs or 0) if request.logprobs else None
    stop = request.stop or ()
    return wire.Sampling(
        max_tokens=max_tokens,
        temperature=1.0 if request.temperature is None else request.temperature,
        top_p=1.0 if request.top_p is None else max(request.top_p, LEAST_TOP_P),
        top_k=request.top_k or 0,
        seed=request.seed or 0,
        stop=(stop,) if isinstance(stop, str) else tuple(stop),
        logprobs=logprobs,
    )


def _plain(message: Message) -> dict[str, str]:
    """A message as templates know it. "developer" is OpenAI's newer name of "system"; several texts are lines."""
    content = message.content
    return {
        "role": "system" if message.role == "developer" else message.role,
        "content": content if isinstance(content, str) else "\n".join(part.text for part in content),
    }


async def _encode(encode: Callable[[PromptEncoder], T], offer: Offer, chars: int) -> T:
    try:
        if chars <= INLINE_CHARS:
            return encode(offer.encoder)
        return await asyncio.to_thread(encode, offer.encoder)
    except PromptError as error:
        if error.param in ("messages", "prompt"):
            raise InvalidField(str(error), param=error.param) from error
        raise Unavailable(f"This model cannot read prompts: {error}") from error
