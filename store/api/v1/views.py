"""OpenAI's endpoints."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from store.api.v1.answering import answer
from store.api.v1.calling import Caller, chat_prompt, completion_prompt, offer_for, open_call, replay_key
from store.api.v1.endpoint import call_headers, endpoint, grant_of, json_response
from store.api.v1.parsing import ChatRequest, CompletionRequest, parse
from store.api.v1.shapes import ChatShape, CompletionShape
from store.catalog.models import CALLABLE, Listing
from store.errors import NotFound
from store.keys.grants import KeyGrant
from store.runs import gateway as gateways
from store.runs.books import ModelNotFound
from store.runs.database_thread import query
from store.runs.models import Endpoint
from store.tuning.names import PREFIX


class UnknownUrl(NotFound):
    """Nothing answers at this path."""

    code = "unknown_url"


@endpoint("POST")
async def chat_completions(request: HttpRequest) -> HttpResponseBase:
    """``POST /v1/chat/completions``."""
    grant = await grant_of(request)
    body = parse(request.body, ChatRequest)
    gateway, offer = gateways.current(), await offer_for(grant, body.model)
    caller = caller_of(request, grant, Endpoint.CHAT)
    replay = replay_key(request, body)
    stream, rates = await open_call(
        gateway, body, await chat_prompt(body, offer), offer=offer, caller=caller, replay=replay
    )
    include_usage = bool(body.stream_options and body.stream_options.include_usage)
    shape = ChatShape(stream, model=body.model, include_usage=include_usage)
    return await answer(gateway, stream, shape, include_usage=include_usage, headers=call_headers(offer.listing, rates))


@endpoint("POST")
async def completions(request: HttpRequest) -> HttpResponseBase:
    """``POST /v1/completions``."""
    grant = await grant_of(request)
    body = parse(request.body, CompletionRequest)
    gateway, offer = gateways.current(), await offer_for(grant, body.model)
    caller = caller_of(request, grant, Endpoint.COMPLETION)
    replay = replay_key(request, body)
    stream, rates = await open_call(
        gateway, body, await completion_prompt(body, offer), offer=offer, caller=caller, replay=replay
    )
    include_usage = bool(body.stream_options and body.stream_options.include_usage)
    shape = CompletionShape(stream, model=body.model, include_usage=include_usage)
    return await answer(gateway, stream, shape, include_usage=include_usage, headers=call_headers(offer.listing, rates))


@endpoint("GET")
async def models(request: HttpRequest) -> HttpResponseBase:
    """``GET /v1/models``: what the key opens."""
    grant = await grant_of(request)
    return json_response({"object": "list", "data": await query(_opened, grant.listing_ids)})


@endpoint("GET")
async def model(request: HttpRequest, name: str) -> HttpResponseBase:
    """``GET /v1/models/{organization}/{slug}``, and of the name that a training gave its result."""
    grant = await grant_of(request)
    if name.startswith(PREFIX):
        listing = (await offer_for(grant, name)).listing
        found = await query(_opened, {listing.listing_id})
    else:
        found = await query(_opened, grant.listing_ids, name)
    if not found:
        raise ModelNotFound("The model does not exist, or this key does not open it.", param="model")
    return json_response(found[0] | {"id": name})


@endpoint("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
async def unknown(request: HttpRequest, **_path: Any) -> HttpResponseBase:
    """Everything else under ``/v1``."""
    raise UnknownUrl(f"Unknown request URL: {request.method} {request.path}.")


def caller_of(request: HttpRequest, grant: KeyGrant, endpoint: Endpoint) -> Caller:
    """The bearer of a key."""
    request_id: str = request.id  # type: ignore[attr-defined]  # set by endpoint()
    return Caller(organization_id=grant.organization_id, request_id=request_id, endpoint=endpoint, grant=grant)


def _end_of(listing: Listing) -> dict[str, Any]:
    """Of a model that ends: when it was said, when it answers no more, and why."""
    if listing.deprecated_at is None or listing.shutdown_at is None:
        return {}
    return {
        "deprecation": {
            "deprecated_at": int(listing.deprecated_at.timestamp()),
            "shutdown_at": int(listing.shutdown_at.timestamp()),
            "reason": listing.status_reason,
        }
    }


def _opened(listing_ids: Collection[int], name: str | None = None) -> list[dict[str, Any]]:
    """Of the models that a key opens those that can be called, in OpenAI's shape; or only the one of this name."""
    listings = Listing.objects.named(name) if name else Listing.objects.all()
    rows = listings.filter(pk__in=listing_ids, status__in=CALLABLE, current_release__isnull=False)
    return [
        {
            "id": listing.name,
            "object": "model",
            "created": int((listing.published_at or listing.created_at).timestamp()),
            "owned_by": listing.organization.slug,
            **_end_of(listing),
        }
        for listing in rows.select_related("organization").order_by("organization__slug", "slug")
    ]
