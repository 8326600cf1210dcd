"""From a run to the bytes of its answer: one JSON, or server-sent events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping

from django.http import HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase

from store.api.errors import openai_error
from store.api.v1.endpoint import encode, json_response
from store.api.v1.shapes import Json, Shape
from store.errors import StoreError
from store.runs.gateway import Gateway
from store.runs.streams import RunStream

HEADERS_WITHIN_S = 5.0  # until then, a run that comes to nothing can still be answered by a status


async def answer(
    gateway: Gateway, stream: RunStream, shape: Shape, *, include_usage: bool, headers: Mapping[str, str]
) -> HttpResponseBase:
    """The response to a run, in the form that its call asked for. Raises the StoreError of a run that came to nothing."""
    own = {"idempotent-replayed": "true"} if stream.is_replay else {}
    try:
        if not stream.call.is_stream:
            return await _whole(stream, shape, {**headers, **own})
        try:
            async with asyncio.timeout(HEADERS_WITHIN_S):
                await stream.ready()
        except TimeoutError:
            pass  # a queue, or a model on its way: the client sees that we are there
    except asyncio.CancelledError:
        gateway.abandon(stream)
        raise
    return sse_response(events(gateway, stream, shape, include_usage=include_usage), headers={**headers, **own})


async def _whole(stream: RunStream, shape: Shape, headers: Mapping[str, str]) -> HttpResponse:
    piece = await stream.whole()
    assert stream.ending
    return json_response(shape.whole(piece, stream.ending), headers=headers)


def sse_response(content: AsyncIterator[bytes], *, headers: Mapping[str, str]) -> StreamingHttpResponse:
    """A stream that no proxy should keep back or store."""
    fixed = {"cache-control": "no-cache", "x-accel-buffering": "no"}
    return StreamingHttpResponse(content, content_type="text/event-stream; charset=utf-8", headers={**fixed, **headers})


async def events(gateway: Gateway, stream: RunStream, shape: Shape, *, include_usage: bool) -> AsyncIterator[bytes]:
    """The answer as OpenAI's events. Whoever stops reading ends the run."""
    try:
        first = shape.first()
        if first:
            yield event(first)
        async for piece in stream:
            if piece.text or piece.logprobs:
                yield event(shape.delta(piece))
            elif piece.loading is not None:
                yield b": loading %d%%\n\n" % round(piece.loading * 100)
        assert stream.ending
        yield event(shape.last(stream.ending))
        if include_usage:
            yield event(await shape.receipt(stream.ending))
        yield DONE
    except StoreError as error:
        yield event(openai_error(error))
    finally:
        gateway.abandon(stream)


DONE = b"data: [DONE]\n\n"


def event(data: Json) -> bytes:
    """One server-sent event."""
    return b"data: " + encode(data) + b"\n\n"
