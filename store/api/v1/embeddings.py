"""``POST /v1/embeddings``: the vectors of texts. https://platform.openai.com/docs/api-reference/embeddings"""

from __future__ import annotations

import asyncio
import base64
import sys
from array import array

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from store.api.v1.calling import embedding_prompts, offer_for, open_embedding, replay_key
from store.api.v1.endpoint import call_headers, endpoint, grant_of, json_response
from store.api.v1.parsing import EmbeddingRequest, parse
from store.api.v1.shapes import Json
from store.api.v1.views import caller_of
from store.runs import gateway as gateways
from store.runs.models import Endpoint
from store.runs.streams import RunStream


@endpoint("POST")
async def embeddings(request: HttpRequest) -> HttpResponseBase:
    """One vector for each text of ``input``. Input tokens are charged, there are no others."""
    grant = await grant_of(request)
    body = parse(request.body, EmbeddingRequest)
    gateway, offer = gateways.current(), await offer_for(grant, body.model)
    caller = caller_of(request, grant, Endpoint.EMBEDDING)
    replay = replay_key(request, body)
    prompts = await embedding_prompts(body, offer)
    stream, rates = await open_embedding(gateway, prompts, offer=offer, caller=caller, replay=replay)
    try:
        vectors = (await stream.whole()).embedding or ""
    except asyncio.CancelledError:
        gateway.abandon(stream)
        raise
    answer = _answer(stream, vectors, count=len(prompts), model=offer.listing.name, format_=body.encoding_format)
    return json_response(answer, headers=call_headers(offer.listing, rates))


def _answer(stream: RunStream, vectors: str, *, count: int, model: str, format_: str | None) -> Json:
    """``vectors``: base64 of float32, all of one size, one after the other."""
    assert stream.ending
    usage = stream.ending.usage.prompt_tokens
    data = base64.b64decode(vectors)
    size = len(data) // count
    parts = [data[at : at + size] for at in range(0, size * count, size)]
    return {
        "object": "list",
        "data": [
            {"object": "embedding", "index": index, "embedding": _written(part, format_)}
            for index, part in enumerate(parts)
        ],
        "model": model,
        "usage": {"prompt_tokens": usage, "total_tokens": usage},
    }


def _written(vector: bytes, format_: str | None) -> str | list[float]:
    """The client's choice; without one, numbers."""
    if format_ == "base64":
        return base64.b64encode(vector).decode()
    numbers = array("f", vector)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers.tolist()
