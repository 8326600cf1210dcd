"""What a dead gateway left behind is settled by what its reply stream says."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from uuid import UUID

import pytest
import redis
from django.utils import timezone

from inference import wire
from store.ledger.models import Wallet
from store.runs.actions import open_runs
from store.runs.books import ReplayFound, ReplayKey
from store.runs.models import Gateway, Run, RunStatus
from store.runs.orphans import LAST_EPOCH, settle_orphans
from tests.servers import Servers
from tests.store.runs.conftest import RequestMaker

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def client(servers: Servers) -> Iterator[redis.Redis]:
    client = redis.Redis.from_url(servers.redis_url)
    yield client
    client.flushall()


def die(gateway_id: UUID) -> None:
    long_ago = timezone.now() - timedelta(minutes=5)
    Gateway.objects.filter(pk=gateway_id).update(heartbeat_at=long_ago, suspected_at=long_ago)


def say(client: redis.Redis, gateway_id: UUID, *chunks: wire.Chunk) -> None:
    client.xadd(wire.reply_stream(gateway_id.hex), {"m": wire.encode_chunks(list(chunks))})


def said(run_id: UUID, index: int, count: int, *, epoch: int = 1, made: int | None = None) -> wire.Chunk:
    usage = None if made is None else wire.Usage(prompt_tokens=100, completion_tokens=made)
    ids = tuple(range(index, index + count))
    text = "".join(f" {i}" for i in ids)
    return wire.Chunk(
        run_id=run_id.hex,
        epoch=epoch,
        worker="w",
        index=index,
        token_ids=ids,
        text=text,
        usage=usage,
        finish_reason=usage and "stop",
    )


def test_a_whole_answer_is_charged_and_kept_for_who_asks_again(
    request_of: RequestMaker, gateway_id: UUID, client: redis.Redis
) -> None:
    replay = ReplayKey(key="k", body_sha256=b"b" * 32)
    request = request_of(replay=replay)
    open_runs([request])
    say(client, gateway_id, said(request.run_id, 0, 5), said(request.run_id, 5, 2, made=7))
    die(gateway_id)
    assert settle_orphans() == 1
    run = Run.objects.get(pk=request.run_id)
    assert (run.status, run.output_tokens, run.charge_nano) == (RunStatus.SUCCEEDED, 7, 100 * 100 + 7 * 400)
    (again,) = open_runs([request_of(replay=replay)])
    assert isinstance(again, ReplayFound)
    assert "".join(chunk.text for chunk in wire.decode_chunks(again.chunks)) == " 0 1 2 3 4 5 6"
    assert not client.exists(wire.reply_stream(gateway_id.hex))


def test_a_run_under_way_is_stopped_and_pays_for_what_was_made(
    request_of: RequestMaker, gateway_id: UUID, client: redis.Redis
) -> None:
    request = request_of()
    open_runs([request])
    lost, late = said(request.run_id, 9, 3), said(request.run_id, 2, 1)
    say(client, gateway_id, said(request.run_id, 0, 2), lost)
    say(client, gateway_id, said(request.run_id, 2, 2, epoch=2), late)
    die(gateway_id)
    with client.pubsub(ignore_subscribe_messages=True) as aborts:
        aborts.subscribe(wire.ABORT_CHANNEL)
        settle_orphans()
        heard = None
        while heard is None:
            heard = aborts.get_message(timeout=1)
    run = Run.objects.get(pk=request.run_id)
    assert (run.status, run.error_code, run.output_tokens, run.attempts) == (RunStatus.FAILED, "gateway_lost", 4, 2)
    assert wire.Abort.decode(heard["data"].decode()).run_id == request.run_id.hex
    assert int(client.get(wire.claim_key(request.run_id.hex)) or 0) == LAST_EPOCH


def test_a_run_that_was_never_heard_of_costs_nothing(
    request_of: RequestMaker, gateway_id: UUID, client: redis.Redis, wallet: Wallet
) -> None:
    open_runs([request_of(), request_of()])
    die(gateway_id)
    assert settle_orphans() == 2
    after = Wallet.objects.get(pk=wallet.pk)
    assert (after.posted_nano, after.held_nano) == (wallet.posted_nano, 0)
    assert settle_orphans() == 0


def test_the_runs_of_a_living_gateway_are_left_alone(request_of: RequestMaker, gateway_id: UUID) -> None:
    open_runs([request_of()])
    assert settle_orphans() == 0
    assert Run.objects.get().status == RunStatus.OPEN
    die(gateway_id)
    settle_orphans()
