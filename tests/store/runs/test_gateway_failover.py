"""Workers that die, stop and come back, a Redis that forgets, clients that leave: against a running store."""

from __future__ import annotations

import json
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest

from inference import wire
from store.runs.models import Run, RunStatus
from tests.store.live import Live, db, live, wait_until
from tests.waiting import PATIENCE_S

__all__ = ["db", "live"]
TOKENS = 40
MESSAGES = [{"role": "user", "content": "Rough winds do shake the darling buds of May"}]


@pytest.fixture
def workers(live: Live) -> Iterator[None]:
    """Two slow stubs for each test; what is left of them goes afterwards."""
    for name in ("one", "two"):
        live.start_stub(name, STUB_TOKENS=str(TOKENS), STUB_DELAY_S="0.05")
    yield
    for name in ("one", "two"):
        if name in live.processes:
            live.processes[name].send_signal(signal.SIGCONT)
            live.kill(name)


def stream_of(live: Live, **fields: Any) -> Iterator[str]:
    """The texts of a stream, as they come."""
    body = {"model": live.model, "messages": MESSAGES, "stream": True, **fields}
    with live.http.stream("POST", "/v1/chat/completions", json=body) as response:
        assert response.status_code == 200, response.read()
        for line in response.iter_lines():
            if line.startswith("data: {"):
                chunk = json.loads(line[6:])
                assert "error" not in chunk, chunk
                yield from (c["delta"].get("content") or "" for c in chunk["choices"])


@contextmanager
def leaving(live: Live) -> Iterator[socket.socket]:
    """The connection of a call that is open in the books and not answered; closed at the end, whatever has come."""
    parts, runs = urlsplit(live.url), Run.objects.count()
    body = json.dumps({"model": live.model, "messages": MESSAGES}).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {live.secret}\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.create_connection((parts.hostname or "", parts.port or 80)) as client:
        client.sendall(head.encode() + body)
        wait_until(lambda: Run.objects.count() > runs)
        yield client


def expected(live: Live) -> list[str]:
    """What an undisturbed run says."""
    return "".join(stream_of(live)).split()


def serving(live: Live) -> str:
    """The name of the worker that was heard last."""
    (stream,) = live.redis.keys("reply:*")
    ((_id, fields),) = live.redis.xrevrange(stream, count=1)
    return wire.decode_chunks(fields[b"m"])[-1].worker


@pytest.mark.usefixtures("workers")
def test_a_killed_worker_is_a_pause(live: Live) -> None:
    undisturbed = expected(live)
    said = ""
    killed = False
    for text in stream_of(live):
        said += text
        if said.count(" w") >= 20 and not killed:
            live.kill(serving(live))
            killed = True
    run = live.last_run()
    assert said.split() == undisturbed
    assert len(undisturbed) == TOKENS
    assert (run.status, run.output_tokens, run.attempts) == (RunStatus.SUCCEEDED, TOKENS, 2)


@pytest.mark.usefixtures("workers")
def test_a_stopped_worker_that_comes_back_is_not_heard(live: Live) -> None:
    undisturbed = expected(live)
    said, stopped = "", ""
    for text in stream_of(live):
        said += text
        if said.count(" w") >= 10 and not stopped:
            stopped = serving(live)
            live.processes[stopped].send_signal(signal.SIGSTOP)
        elif said.count(" w") >= 20 and stopped:
            live.processes[stopped].send_signal(signal.SIGCONT)
    run = live.last_run()
    assert said.split() == undisturbed
    assert (run.output_tokens, run.attempts) == (TOKENS, 2)
    assert run.worker != stopped


@pytest.mark.fault
@pytest.mark.usefixtures("workers")
def test_a_flush_of_redis_is_a_pause(live: Live) -> None:
    undisturbed = expected(live)
    said = ""
    flushed = False
    for text in stream_of(live):
        said += text
        if said.count(" w") >= 10 and not flushed:
            live.redis.flushall()
            flushed = True
    assert said.split() == undisturbed
    assert live.last_run().output_tokens == TOKENS


@pytest.mark.fault
@pytest.mark.usefixtures("workers")
def test_a_killed_valkey_is_a_pause(live: Live) -> None:
    undisturbed = expected(live)
    said = ""
    killed = False
    for text in stream_of(live):
        said += text
        if said.count(" w") >= 10 and not killed:
            live.servers.processes["valkey"].kill()
            live.servers.processes["valkey"].wait()
            live.servers.start_valkey()
            killed = True
    assert said.split() == undisturbed
    assert live.last_run().output_tokens == TOKENS


@pytest.mark.fault
@pytest.mark.usefixtures("workers")
def test_a_message_that_dies_with_its_worker_is_sent_again(live: Live) -> None:
    for name in ("one", "two"):
        live.processes[name].send_signal(signal.SIGSTOP)  # Redis hands one of them the message, and it never reads it
    with leaving(live) as client:
        for name in ("one", "two"):
            live.kill(name)
        live.start_stub("one", STUB_TOKENS=str(TOKENS))
        client.settimeout(PATIENCE_S)
        assert client.recv(12) == b"HTTP/1.1 200"
    assert live.last_run().output_tokens == TOKENS


@pytest.mark.usefixtures("workers")
def test_a_client_that_leaves_stops_the_run_and_pays_for_what_was_made(live: Live) -> None:
    before = live.wallet().posted_nano
    said = ""
    answer = stream_of(live)
    for text in answer:
        said += text
        if said.count(" w") >= 5:
            break
    answer.close()
    run = live.last_run()
    assert run.status == RunStatus.CANCELLED
    assert 5 <= run.output_tokens < TOKENS - 10
    assert before - live.wallet().posted_nano == run.charge_nano == run.prompt_tokens * 100 + run.output_tokens * 400


@pytest.mark.usefixtures("workers")
def test_a_client_that_leaves_without_a_stream_stops_the_run_too(live: Live) -> None:
    with leaving(live):
        pass
    run = live.last_run()
    assert run.status == RunStatus.CANCELLED
    assert run.output_tokens < TOKENS


def test_without_a_worker_nothing_is_held_and_the_client_is_told_when_to_come_back(live: Live) -> None:
    live.redis.delete("replicas")
    runs = Run.objects.count()
    body = {"model": live.model, "messages": MESSAGES}

    def refused() -> bool:
        response = live.http.post("/v1/chat/completions", json=body)
        return response.status_code == 503 and "retry-after" in response.headers and "No worker" in response.text

    wait_until(refused)  # reports may be missing for a while before the workers count as gone
    before = Run.objects.count()
    assert refused()
    assert Run.objects.count() == before >= runs


@pytest.mark.fault
def test_a_run_that_nobody_takes_ends_with_a_503_and_costs_nothing(live: Live) -> None:
    live.start_stub("idle", STUB_TOKENS="5")
    live.processes["idle"].send_signal(signal.SIGSTOP)
    before = live.wallet()
    response = live.http.post("/v1/chat/completions", json={"model": live.model, "messages": MESSAGES})
    live.processes["idle"].send_signal(signal.SIGCONT)
    live.kill("idle")
    assert response.status_code == 503
    assert int(response.headers["retry-after"]) >= 1
    run = live.last_run()
    assert (run.status, run.error_code, run.charge_nano) == (RunStatus.FAILED, "queue_limit", 0)
    after = live.wallet()
    assert (after.posted_nano, after.held_nano) == (before.posted_nano, 0)
