"""OpenAI's endpoints."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from store.api.v1.answering import answer
from store.api.v1.calling import Caller, chat_prompt, completion_prompt, offer_for, open_call, replay_key
from store.api.v1.endpoint import endpoint, grant_of, json_response, rate_headers
from store.api.v1.parsing import ChatRequest, CompletionRequest, parse
from store.api.v1.shapes import ChatShape, CompletionShape
from store.catalog.models import CALLABLE, Listing
from store.errors import NotFound
from store.keys.grants import KeyGrant
from store.runs import gateway as gateways
from store.runs.books import ModelNotFound
from store.runs.database_thread import query
from store.runs.models import Endpoint


class UnknownUrl(NotFound):
    """Nothing answers at this path."""

    code = "unknown_url"


@endpoint("POST")
async def chat_completions(request: HttpRequest) -> HttpResponseBase:
    """``POST /v1/chat/completions``."""
    grant = await grant_of(request)
    body = parse(request.body, ChatRequest)
    gateway, offer = gateways.current(), await offer_for(grant, body.model)
    caller = _caller(request, grant, Endpoint.CHAT)
    replay = replay_key(request, body)
    stream, rates = await open_call(
        gateway, body, await chat_prompt(body, offer), offer=offer, caller=caller, replay=replay
    )
    include_usage = bool(body.stream_options and body.stream_options.include_usage)
    shape = ChatShape(stream, model=offer.listing.name, include_usage=include_usage)
    return await answer(gateway, stream, shape, include_usage=include_usage, headers=rate_headers(rates))


@endpoint("POST")
async def completions(request: HttpRequest) -> HttpResponseBase:
    """``POST /v1/completions``."""
    grant = await grant_of(request)
    body = parse(request.body, CompletionRequest)
    gateway, offer = gateways.current(), await offer_for(grant, body.model)
    caller = _caller(request, grant, Endpoint.COMPLETION)
    replay = replay_key(request, body)
    stream, rates = await open_call(
        gateway, body, await completion_prompt(body, offer), offer=offer, caller=caller, replay=replay
    )
    include_usage = bool(body.stream_options and body.stream_options.include_usage)
    shape = CompletionShape(stream, model=offer.listing.name, include_usage=include_usage)
    return await answer(gateway, stream, shape, include_usage=include_usage, headers=rate_headers(rates))


@endpoint("GET")
async def models(request: HttpRequest) -> HttpResponseBase:
    """``GET /v1/models``: what the key opens."""
    grant = await grant_of(request)
    return json_response({"object": "list", "data": await query(_opened, grant)})


@endpoint("GET")
async def model(request: HttpRequest, name: str) -> HttpResponseBase:
    """``GET /v1/models/{organization}/{slug}``."""
    grant = await grant_of(request)
    found = await query(_opened, grant, name)
    if not found:
        raise ModelNotFound("The model does not exist, or this key does not open it.", param="model")
    return json_response(found[0])


@endpoint("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
async def unknown(request: HttpRequest, **_path: Any) -> HttpResponseBase:
    """Everything else under ``/v1``."""
    raise UnknownUrl(f"Unknown request URL: {request.method} {request.path}.")


def _caller(request: HttpRequest, grant: KeyGrant, endpoint: Endpoint) -> Caller:
    request_id: str = request.id  # type: ignore[attr-defined]  # set by endpoint()
    return Caller(organization_id=grant.organization_id, request_id=request_id, endpoint=endpoint, grant=grant)


def _opened(grant: KeyGrant, name: str | None = None) -> list[dict[str, Any]]:
    """The models that a key opens and that can be called, in OpenAI's shape; or only the one of this name."""
    listings = Listing.objects.named(name) if name else Listing.objects.all()
    rows = listings.filter(pk__in=grant.listing_ids, status__in=CALLABLE, current_release__isnull=False)
    return [
        {
            "id": listing.name,
            "object": "model",
            "created": int((listing.published_at or listing.created_at).timestamp()),
            "owned_by": listing.organization.slug,
        }
        for listing in rows.select_related("organization").order_by("organization__slug", "slug")
    ]
