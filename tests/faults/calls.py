"""Clients under way: the official library in threads, and what the books must say when they are done."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass

import openai
from django.db import connection

from inference import wire
from store.ledger.audit import audit
from store.ledger.models import Hold, HoldStatus, Transfer, TransferKind
from store.runs.models import Run, RunStatus
from tests.stack import Part, Shop, Stack
from tests.waiting import await_that

END_S = 120  # every accepted run ends within this, counted from the recovery


@dataclass(frozen=True, kw_only=True)
class Ask:
    """What a client asks for. ``temperature`` 0 is greedy."""

    prompt: str
    max_tokens: int
    temperature: float = 0.0
    seed: int | None = None


class Call(threading.Thread):
    """One streamed completion. ``text`` grows while it runs; ``error`` is what the client raised."""

    def __init__(self, stack: Stack, shop: Shop, ask: Ask, **options: object) -> None:
        super().__init__(daemon=True)
        self.ask = ask
        self.run_id = ""
        self.text = ""
        self.pieces = 0
        self.finish_reason: str | None = None
        self.completion_tokens: int | None = None
        self.error: Exception | None = None
        self.ended_at = 0.0  # monotonic seconds
        self._client = stack.client(shop.secret, **options)
        self._model = shop.model
        self.start()

    def run(self) -> None:
        try:
            self._stream()
        except openai.OpenAIError as error:
            self.error = error
        finally:
            self.ended_at = time.monotonic()
            self._client.close()

    def _stream(self) -> None:
        ask = self.ask
        stream = self._client.completions.create(
            model=self._model, prompt=ask.prompt, max_tokens=ask.max_tokens, temperature=ask.temperature, seed=ask.seed,
            stream=True, stream_options={"include_usage": True},
        )  # fmt: skip
        for event in stream:
            self.run_id = event.id.rpartition("-")[2]
            for choice in event.choices:
                self.text += choice.text
                self.pieces += 1
                self.finish_reason = choice.finish_reason or self.finish_reason
            if event.usage:
                self.completion_tokens = event.usage.completion_tokens

    @property
    def ended(self) -> bool:
        return not self.is_alive()

    def await_text(self, characters: int) -> None:
        """Returns once that much was heard, or the call has ended."""
        await_that(lambda: self.ended or len(self.text) >= characters, f"{characters} characters", timeout_s=END_S)

    def finish(self, *, timeout_s: float = END_S) -> None:
        """Waits for the end, which must be a good one."""
        self.join(timeout_s)
        assert self.ended, f"still running after {timeout_s:g} s, {len(self.text)} characters heard"
        if self.error:
            raise self.error
        assert self.finish_reason == "length"
        assert self.completion_tokens == self.ask.max_tokens


def serving(stack: Stack, call: Call, workers: Iterable[Part]) -> Part:
    """The worker from which the run was heard last."""

    def last_voice() -> str | None:
        for stream in stack.redis.scan_iter(match=wire.reply_stream("*")):
            for _entry, fields in stack.redis.xrevrange(stream, count=500):
                for chunk in reversed(wire.decode_chunks(fields[b"m"])):
                    if chunk.run_id == call.run_id and chunk.worker:
                        return chunk.worker
        return None

    name = await_that(last_voice, "a worker is heard of", timeout_s=END_S)
    return next(part for part in workers if name.endswith(f"-{part.pid}"))


def assert_books_are_right(*, timeout_s: float = END_S) -> None:
    """Every run is settled, no hold is open, each charge follows from price and tokens, and the sum of all wallets is zero."""
    connection.close()  # the server may have been away
    await_that(
        lambda: not Run.objects.filter(status=RunStatus.OPEN).exists(), "every run is settled", timeout_s=timeout_s
    )
    assert not Hold.objects.filter(status=HoldStatus.OPEN).exists()
    assert audit() == []


def assert_charged_once(calls: Iterable[Call]) -> None:
    """Each call is one run, charged for exactly the tokens that its client was told of, by one pair of transfers."""
    for call in calls:
        run = Run.objects.get(id=call.run_id)
        assert run.status == RunStatus.SUCCEEDED
        assert run.output_tokens == call.completion_tokens
        transfers = Transfer.objects.filter(key__startswith=f"run:{run.id}")
        assert sorted(t.kind for t in transfers) == [TransferKind.COMMISSION, TransferKind.USAGE]
        assert sum(t.amount_nano for t in transfers) == run.charge_nano > 0
