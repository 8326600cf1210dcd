"""From a published model to a charged token: the sample model, the official client, a GPU worker, the books."""

from __future__ import annotations

import time

import openai
import pytest
from django.core.management import call_command

from inference.prompt import PromptEncoder
from store.bringup.demo import SAMPLE
from store.keys.actions import issue_key, revoke_key
from store.ledger.audit import audit
from store.ledger.models import Hold, HoldStatus, Transfer, TransferKind, Wallet, WalletKind
from store.ledger.pricing import Rates, charge, split
from store.runs.models import Run, RunStatus
from tests.stack import PRICE, Shop, Stack, open_shop
from tests.waiting import await_that

pytestmark = pytest.mark.story

MESSAGES = [{"role": "user", "content": "Shall I compare thee to a summer's day?"}]


@pytest.fixture(scope="module")
def shop(stack: Stack) -> Shop:
    """The sample model in a store with one worker of each kind."""
    opened = open_shop(SAMPLE)
    stack.start_web(WEB_PROCESSES="1")
    stack.start_gpu()
    return opened


def test_a_streamed_call_is_charged_for_exactly_the_tokens_that_were_made(stack: Stack, shop: Shop) -> None:
    with stack.client(shop.secret) as client:
        chunks = list(
            client.chat.completions.create(
                model=shop.model, messages=MESSAGES, max_tokens=24, temperature=0, stream=True,
                stream_options={"include_usage": True},
            )  # type: ignore[call-overload]
        )  # fmt: skip
    usage = chunks[-1].usage
    text = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    finish = [choice.finish_reason for chunk in chunks for choice in chunk.choices if choice.finish_reason]
    assert len(chunks) > 4  # it came in pieces
    assert text.isascii()
    assert finish in (["stop"], ["length"])
    assert usage.prompt_tokens == len(PromptEncoder.from_folder(SAMPLE).encode_chat(MESSAGES))

    run = Run.objects.select_related("hold").get(id=chunks[0].id.removeprefix("chatcmpl-"))
    rates = Rates(input_nano=PRICE.input_nano, cached_input_nano=PRICE.cached_input_nano, output_nano=PRICE.output_nano)
    cost = charge(rates, prompt_tokens=usage.prompt_tokens, output_tokens=usage.completion_tokens)
    assert (run.status, run.output_tokens, run.charge_nano) == (RunStatus.SUCCEEDED, usage.completion_tokens, cost)
    assert (run.hold.status, run.hold.captured_nano) == (HoldStatus.CAPTURED, cost)
    provider, platform = split(cost, commission_ppm=run.commission_ppm)
    moved = dict(Transfer.objects.filter(key__startswith=f"run:{run.id}:").values_list("kind", "amount_nano"))
    assert moved == {TransferKind.USAGE: provider, TransferKind.COMMISSION: platform}
    assert sum(Wallet.objects.values_list("posted_nano", flat=True)) == 0
    assert audit() == []


def test_the_same_seed_gives_the_same_words_streamed_or_not(stack: Stack, shop: Shop) -> None:
    asked = {"model": shop.model, "messages": MESSAGES, "max_tokens": 24, "seed": 7, "temperature": 0.9}
    with stack.client(shop.secret) as client:
        whole = client.chat.completions.create(**asked)  # type: ignore[call-overload]
        pieces = client.chat.completions.create(**asked, stream=True)  # type: ignore[call-overload]
        text = "".join(choice.delta.content or "" for chunk in pieces for choice in chunk.choices)
    assert text == whole.choices[0].message.content


def test_the_client_lists_the_models_that_its_key_opens(stack: Stack, shop: Shop) -> None:
    with stack.client(shop.secret) as client:
        assert [model.id for model in client.models.list()] == [shop.model]


def test_a_client_that_goes_away_pays_for_what_was_made_and_no_more(stack: Stack, shop: Shop) -> None:
    with stack.client(shop.secret) as client:
        stream = client.completions.create(
            model=shop.model, prompt="SCENE 1. A forest.", max_tokens=400, temperature=1.0, seed=3, stream=True,
        )  # fmt: skip
        run_id = next(iter(stream)).id.removeprefix("cmpl-")
        stream.close()
    await_that(lambda: Run.objects.get(id=run_id).status != RunStatus.OPEN, "the run is settled")
    run = Run.objects.get(id=run_id)
    ended_first = run.status == RunStatus.SUCCEEDED  # the model, of itself
    assert ended_first or (run.status == RunStatus.CANCELLED and run.output_tokens < 400)
    assert run.output_tokens > 0
    assert run.charge_nano > 0
    assert not Hold.objects.filter(status=HoldStatus.OPEN).exists()


def test_an_idempotency_key_replays_the_answer_and_charges_once(stack: Stack, shop: Shop) -> None:
    asked = {"model": shop.model, "messages": MESSAGES, "max_tokens": 16, "extra_headers": {"Idempotency-Key": "once"}}
    with stack.client(shop.secret) as client:
        first = client.chat.completions.create(**asked)  # type: ignore[call-overload]
        charged = Wallet.objects.get(organization=shop.organization, kind=WalletKind.CREDIT).posted_nano
        again = client.chat.completions.create(**asked)  # type: ignore[call-overload]
        with pytest.raises(openai.UnprocessableEntityError):
            client.chat.completions.create(**{**asked, "max_tokens": 17})  # type: ignore[call-overload]
    assert again.choices[0].message.content == first.choices[0].message.content
    assert again.usage == first.usage
    assert Wallet.objects.get(organization=shop.organization, kind=WalletKind.CREDIT).posted_nano == charged


def test_a_revoked_key_is_dead_within_a_second(stack: Stack, shop: Shop) -> None:
    user = shop.organization.personal_of
    assert user is not None
    issued = issue_key(organization=shop.organization, user=user, name="short-lived", listings=[shop.listing])
    with stack.client(issued.secret) as client:
        client.models.list()
        revoke_key(api_key=issued.api_key, user=user)
        revoked = time.monotonic()
        granted: list[float] = []  # when each was asked that the key still opened

        def refused() -> bool:
            asked = time.monotonic()
            try:
                client.models.list()
            except openai.AuthenticationError:
                return True
            granted.append(asked)
            return False

        await_that(refused, "the key is refused")
        assert max(granted, default=revoked) < revoked + 1


def test_the_books_are_clean_after_all_that(shop: Shop) -> None:
    call_command("ledger", "audit")
