"""What a stream takes in, skips and notices, chunk by chunk."""

from __future__ import annotations

import asyncio
import uuid

import pytest

from inference import wire
from store.errors import Unavailable
from store.runs.books import ReplayFound
from store.runs.calls import Call
from store.runs.models import Endpoint
from store.runs.streams import Ending, Heard, RunStream
from store.runs.watch import Due, what_is_due

RUN = "01a201e72bdc7235b57801c99cf0cf78"
CALL = Call(
    organization_id=1, user_id=None, grant=None, listing_id=1, release_id=1,
    release=wire.ReleaseRef(digest="sha256:" + "0" * 64, repo_id="a/b", endpoint="", token="", size=1),
    endpoint=Endpoint.CHAT, request_id="req_1", is_stream=True, prompt_ids=[1, 2, 3], sampling=wire.Sampling(max_tokens=9),
    is_capped=True, has_seed=False,
)  # fmt: skip


@pytest.fixture
def stream() -> RunStream:
    return RunStream(CALL, run_id=RUN, max_tokens=9)


def chunk(
    index: int = 0, ids: tuple[int, ...] = (), *, epoch: int = 1, made: int | None = None, text: str | None = None
) -> wire.Chunk:
    """Says its tokens; with ``made`` it is the last, of a run of so many tokens."""
    usage = None if made is None else wire.Usage(prompt_tokens=3, completion_tokens=made)
    said = "".join(f" {i}" for i in ids) if text is None else text
    return wire.Chunk(
        run_id=RUN,
        epoch=epoch,
        worker="w",
        index=index,
        token_ids=ids,
        text=said,
        usage=usage,
        finish_reason=usage and "stop",
    )


async def read(stream: RunStream) -> str:
    return "".join([piece.text async for piece in stream])


async def test_tokens_are_heard_in_order_and_once(stream: RunStream) -> None:
    assert stream.feed(chunk(0, (5, 6)), 1) is Heard.NEWS
    assert stream.feed(chunk(0, (5, 6)), 2) is Heard.NEWS
    assert stream.feed(chunk(2, (7,), made=3), 3) is Heard.END
    stream.end(Ending(finish_reason="stop", usage=wire.Usage(prompt_tokens=3, completion_tokens=3)))
    assert stream.heard_ids == [5, 6, 7]
    assert await read(stream) == " 5 6 7"


@pytest.mark.parametrize(
    "lost",
    [chunk(1, (6,)), chunk(2, (7,), made=3), chunk(made=1), chunk(0, (5,), made=2)],
    ids=["middle", "end", "all", "part"],
)
def test_what_comes_after_something_lost_is_a_gap(stream: RunStream, lost: wire.Chunk) -> None:
    assert stream.feed(lost, 1) is Heard.GAP
    assert stream.heard_ids == []


def test_an_old_epoch_is_not_listened_to(stream: RunStream) -> None:
    stream.feed(chunk(0, (5,)), 1)
    stream.next_attempt(2)
    assert stream.feed(chunk(1, (6,)), 3) is Heard.STALE
    assert stream.feed(chunk(1, (7,), epoch=2), 4) is Heard.NEWS
    assert stream.heard_ids == [5, 7]


def test_after_the_end_nothing_is_heard(stream: RunStream) -> None:
    stream.end(Ending(finish_reason="stop", usage=stream.usage_so_far()))
    assert stream.feed(chunk(0, (5,)), 1) is Heard.STALE


async def test_a_reader_is_woken_and_gets_all_that_waits_in_one_piece(stream: RunStream) -> None:
    reading = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0)
    assert not reading.done()
    stream.feed(chunk(0, (5,)), 1)
    stream.feed(chunk(1, (6,)), 1)
    piece = await reading
    assert (piece.text, piece.token_ids) == (" 5 6", (5, 6))


async def test_the_error_of_a_run_comes_after_what_was_said(stream: RunStream) -> None:
    stream.feed(chunk(0, (5,)), 1)
    stream.end(Ending(finish_reason="error", usage=stream.usage_so_far(), error=Unavailable()))
    assert (await anext(stream)).text == " 5"
    with pytest.raises(Unavailable):
        await anext(stream)
    with pytest.raises(Unavailable):
        await stream.whole()


async def test_a_replay_says_the_same(stream: RunStream) -> None:
    stream.feed(chunk(0, (5,), text=""), 1)  # half a character
    stream.feed(chunk(1, (6,), made=2), 2)
    stream.end(Ending(finish_reason="stop", usage=wire.Usage(prompt_tokens=3, completion_tokens=2)))
    found = ReplayFound(run_id=uuid.UUID(RUN), chunks=stream.replay_chunks(), prompt_tokens=3, max_tokens=9)
    again = RunStream.replayed(CALL, found)
    assert again.ending == stream.ending
    assert (await again.whole()).token_ids == (5, 6)


def test_silence_is_measured_on_the_readers_clock(stream: RunStream) -> None:
    start = stream.opened_at
    assert what_is_due(stream, now=start + 5, heard_until=start + 5) is Due.NOTHING
    assert what_is_due(stream, now=start + 11, heard_until=start + 11) is Due.SEND_AGAIN
    assert what_is_due(stream, now=start + 11, heard_until=start + 1) is Due.NOTHING  # Redis is away
    assert what_is_due(stream, now=start + 61, heard_until=start + 1) is Due.QUEUE_LIMIT
    stream.feed(chunk(), start + 11)
    assert what_is_due(stream, now=start + 61, heard_until=start + 12) is Due.NOTHING
    assert what_is_due(stream, now=start + 61, heard_until=start + 16) is Due.NEXT_ATTEMPT
    assert what_is_due(stream, now=start + 603, heard_until=start + 12) is Due.DEADLINE
    stream.next_attempt(start + 20)
    stream.next_attempt(start + 70)
    assert what_is_due(stream, now=start + 79, heard_until=start + 79) is Due.NOTHING
    assert what_is_due(stream, now=start + 81, heard_until=start + 71) is Due.QUEUE_LIMIT  # nobody goes on with it
    stream.is_abandoned = True
    assert what_is_due(stream, now=start + 61, heard_until=start + 16) is Due.NOTHING
