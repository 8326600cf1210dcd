"""The official client, against a running store with a stub worker."""

from __future__ import annotations

import openai
import pytest

from bench.stub import text_of
from store.runs.models import Endpoint, RunStatus
from tests.store.live import Live

PROMPT = [{"role": "user", "content": "Shall I compare thee to a summer's day?"}]


@pytest.fixture(scope="module")
def live(live: Live) -> Live:
    live.start_stub(STUB_TOKENS="12")
    return live


def test_a_chat_is_answered_counted_and_charged(live: Live) -> None:
    before = live.wallet()
    answer = live.openai().chat.completions.create(model=live.model, messages=PROMPT)
    run = live.last_run()
    assert answer.id == f"chatcmpl-{run.id.hex}"
    assert answer.object == "chat.completion"
    assert answer.model == live.model
    assert answer.choices[0].message.role == "assistant"
    assert answer.choices[0].message.content.count(" w") == 12
    assert answer.choices[0].finish_reason == "stop"
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (run.prompt_tokens, 12)
    assert run.status == RunStatus.SUCCEEDED
    assert run.endpoint == Endpoint.CHAT
    # 0.1 and 0.4 dollars a million tokens; the answer was not sent before the charge was in the books.
    assert run.charge_nano == run.prompt_tokens * 100 + 12 * 400
    after = live.wallet()
    assert before.posted_nano - after.posted_nano == run.charge_nano
    assert after.held_nano == 0


def test_a_stream_says_the_same_as_the_whole(live: Live) -> None:
    client = live.openai()
    whole = client.chat.completions.create(model=live.model, messages=PROMPT, seed=1)
    chunks = list(
        client.chat.completions.create(
            model=live.model, messages=PROMPT, seed=1, stream=True, stream_options={"include_usage": True}
        )
    )
    assert chunks[0].choices[0].delta.role == "assistant"
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == whole.choices[0].message.content
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"
    assert chunks[-1].choices == []
    assert chunks[-1].usage == whole.usage
    assert all(chunk.usage is None for chunk in chunks[:-1])
    assert len({chunk.id for chunk in chunks}) == 1


def test_max_tokens_ends_an_answer_with_length(live: Live) -> None:
    answer = live.openai().chat.completions.create(model=live.model, messages=PROMPT, max_completion_tokens=3)
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage.completion_tokens == 3
    assert live.last_run().max_tokens == 3


def test_logprobs_of_a_chat(live: Live) -> None:
    answer = live.openai().chat.completions.create(
        model=live.model, messages=PROMPT, max_tokens=2, logprobs=True, top_logprobs=2
    )
    first = answer.choices[0].logprobs.content[0]
    assert first.logprob == -0.5
    assert bytes(first.bytes).decode() == first.token


def test_a_completion_of_a_text_and_of_its_tokens_agree(live: Live) -> None:
    client = live.openai()
    of_text = client.completions.create(model=live.model, prompt="To be", max_tokens=4, logprobs=1)
    assert of_text.object == "text_completion"
    assert of_text.id.startswith("cmpl-")
    assert of_text.choices[0].logprobs.text_offset[0] == 0
    assert "".join(of_text.choices[0].logprobs.tokens) == of_text.choices[0].text
    ids = [5, 6, 7]
    of_ids = client.completions.create(model=live.model, prompt=ids, max_tokens=1)
    assert of_ids.choices[0].text == text_of(sum(ids))
    assert live.last_run().endpoint == Endpoint.COMPLETION


def test_a_completion_streams(live: Live) -> None:
    chunks = list(live.openai().completions.create(model=live.model, prompt="To be", max_tokens=4, stream=True))
    assert "".join(chunk.choices[0].text for chunk in chunks).count(" w") == 4
    assert chunks[-1].choices[0].finish_reason == "length"


def test_models_are_those_that_the_key_opens(live: Live) -> None:
    client = live.openai()
    assert [model.id for model in client.models.list()] == [live.model]
    assert client.models.retrieve(live.model).owned_by == "seller"
    with pytest.raises(openai.NotFoundError) as caught:
        client.models.retrieve("nobody/nothing")
    assert caught.value.code == "model_not_found"


def test_every_answer_carries_its_request_id_and_the_limits(live: Live) -> None:
    raw = live.openai().chat.completions.with_raw_response.create(model=live.model, messages=PROMPT)
    assert raw.headers["x-request-id"] == live.last_run().request_id
    assert int(raw.headers["x-ratelimit-limit-requests"]) == live.issued.api_key.requests_per_minute
    assert int(raw.headers["x-ratelimit-remaining-tokens"]) < live.issued.api_key.tokens_per_minute
    assert int(raw.headers["openai-processing-ms"]) >= 0


def test_without_a_limit_of_the_client_the_context_is_the_limit(live: Live) -> None:
    live.openai().chat.completions.create(model=live.model, messages=PROMPT)
    run = live.last_run()
    assert run.max_tokens + run.prompt_tokens == 1024


def test_a_prompt_longer_than_the_context_is_named(live: Live) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        live.openai().completions.create(model=live.model, prompt=[1] * 1024)
    assert (caught.value.code, caught.value.param) == ("context_length_exceeded", "prompt")
