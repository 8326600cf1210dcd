"""The writer: from outputs of engines to entries of reply streams."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from inference import wire
from inference.engine import Output
from tests.servers import Servers
from tests.waiting import PATIENCE_S, await_that
from workers import stream
from workers.attempts import Attempt, Attempts
from workers.stream import Writer

RELEASE = wire.ReleaseRef(digest="sha256:" + "0" * 64, repo_id="a/b", endpoint="http://127.0.0.1", token="", size=1)


@pytest.fixture
def database() -> int:
    return 3


@pytest.fixture
def client(servers: Servers, database: int) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(servers.redis_url, db=database) as client:
        yield client


@pytest.fixture
def attempts(client: redis.Redis) -> Attempts:
    return Attempts(client)


@pytest.fixture
def writer(client: redis.Redis, attempts: Attempts) -> Iterator[Writer]:
    writer = Writer(client, attempts, worker="w1")
    yield writer
    writer.close(timeout_s=PATIENCE_S)


def take(attempts: Attempts, reply_to: str = "reply:a") -> Attempt:
    spec = wire.CompletionSpec(
        run_id=uuid.uuid4().hex, epoch=1, reply_to=reply_to, release=RELEASE, prompt_ids=[1],
        sampling=wire.Sampling(max_tokens=9), deadline=time.time() + 60,
    )  # fmt: skip
    attempt = Attempt(spec)
    assert attempts.claim(attempt)
    return attempt


def token(attempt: Attempt, index: int) -> Output:
    return Output(id=attempt.id, index=index, token_ids=(100 + index,), text=f"{index} ")


def end(attempt: Attempt, index: int) -> Output:
    usage = wire.Usage(prompt_tokens=1, completion_tokens=index)
    return Output(id=attempt.id, index=index, finish_reason="length", usage=usage)


def entries(client: redis.Redis, name: str = "reply:a") -> list[list[wire.Chunk]]:
    return [wire.decode_chunks(fields[b"m"]) for _id, fields in client.xrange(name)]


def test_a_step_is_one_entry_for_each_gateway(client: redis.Redis, attempts: Attempts, writer: Writer) -> None:
    here, also_here, there = take(attempts), take(attempts), take(attempts, "reply:b")
    writer.put([token(here, 0), token(also_here, 0), token(there, 0)])
    await_that(lambda: entries(client, "reply:b"), "the step is written")
    assert [[chunk.run_id for chunk in entry] for entry in entries(client)] == [
        [here.spec.run_id, also_here.spec.run_id]
    ]
    assert [[chunk.run_id for chunk in entry] for entry in entries(client, "reply:b")] == [[there.spec.run_id]]
    assert entries(client)[0][0].worker == "w1"


def test_steps_that_come_faster_than_they_are_written_share_a_chunk(
    client: redis.Redis, attempts: Attempts, writer: Writer
) -> None:
    attempt = take(attempts)
    for index in range(200):
        writer.put([token(attempt, index)])
    writer.put([end(attempt, 200)])
    assert attempt.over.wait(PATIENCE_S)
    chunks = [chunk for entry in entries(client) for chunk in entry]
    assert [token_id for chunk in chunks for token_id in chunk.token_ids] == list(range(100, 300))
    assert "".join(chunk.text for chunk in chunks) == "".join(f"{index} " for index in range(200))
    assert all(
        chunk.index == sum(len(c.token_ids) for c in chunks[:n]) for n, chunk in enumerate(chunks) if chunk.token_ids
    )
    assert len(chunks) < 50
    assert chunks[-1].finish_reason == "length"
    assert attempts.get(attempt.id) is None


def test_a_stream_expires_when_nobody_writes_to_it_any_more(
    client: redis.Redis, attempts: Attempts, writer: Writer
) -> None:
    attempt = take(attempts)
    writer.put([end(attempt, 0)])
    assert attempt.over.wait(PATIENCE_S)
    assert 0 < client.ttl("reply:a") <= stream.STREAM_TTL_S


def test_a_keepalive_says_how_far_the_model_has_come(client: redis.Redis, attempts: Attempts, writer: Writer) -> None:
    attempt = take(attempts)
    attempt.loading = 0.5
    writer.put([Output(id=attempt.id)])
    [[chunk]] = await_that(lambda: entries(client), "the keepalive is written")
    assert (chunk.loading, chunk.token_ids, chunk.finish_reason) == (0.5, (), None)


def test_what_an_engine_says_after_the_end_is_not_written(
    client: redis.Redis, attempts: Attempts, writer: Writer
) -> None:
    attempt = take(attempts)
    writer.put([end(attempt, 0)])
    assert attempt.over.wait(PATIENCE_S)
    writer.put([token(attempt, 0)])
    other = take(attempts)
    writer.put([end(other, 0)])
    assert other.over.wait(PATIENCE_S)
    assert [chunk.run_id for entry in entries(client) for chunk in entry] == [attempt.spec.run_id, other.spec.run_id]


def test_a_sign_of_life_that_crosses_the_end_does_not_hide_it(
    client: redis.Redis, attempts: Attempts, writer: Writer
) -> None:
    attempt = take(attempts)
    writer.put([token(attempt, 0), end(attempt, 1), Output(id=attempt.id)])
    assert attempt.over.wait(PATIENCE_S)
    [[chunk]] = entries(client)
    assert (chunk.token_ids, chunk.finish_reason) == ((100,), "length")


def test_without_redis_outputs_wait_then_are_dropped_and_their_attempts_end(
    attempts: Attempts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "MAX_BUFFERED", 50)
    away = redis.Redis.from_url(f"unix://{tmp_path}/nobody.sock", retry=Retry(NoBackoff(), 0))
    writer = Writer(away, attempts, worker="w1")
    attempt = take(attempts)
    for index in range(40):
        writer.put([token(attempt, index)])
    assert not attempt.over.wait(3 * stream.RETRY_S)
    writer.put([token(attempt, index) for index in range(40, 100)])
    writer.put([end(attempt, 100)])
    assert attempt.over.wait(PATIENCE_S)
    writer.close(timeout_s=PATIENCE_S)
