"""``/v1/embeddings`` by the official client, against a running store with a stub worker."""

from __future__ import annotations

import shutil

import openai
import pytest

from bench.stage import CONTEXT, VOCABULARY
from store.catalog.models import Listing, ListingStatus, Price, Release
from store.keys.actions import issue_key
from store.runs.models import Endpoint, RunStatus
from tests.store.live import Live

DIGEST = f"{2:064x}"


@pytest.fixture(scope="module")
def live(live: Live) -> Live:
    """With a second listing, ``seller/reader``: an encoder. The key opens both."""
    live.start_stub()
    listing = Listing.objects.create(
        organization=live.listing.organization, slug="reader", title="Reader", licence="apache-2.0"
    )
    release = Release.objects.create(
        listing=listing, number=1, digest=f"sha256:{DIGEST}", size=1, architecture="BertModel", parameters=1,
        context_length=CONTEXT, vocab_size=VOCABULARY,
    )  # fmt: skip
    releases = live.servers.data_dir / "cache" / "releases"
    shutil.copytree(releases / f"{1:064x}", releases / DIGEST, dirs_exist_ok=True)
    Price.objects.create(listing=listing, input_nano=100_000_000, cached_input_nano=0, output_nano=900_000_000)
    Listing.objects.filter(pk=listing.pk).update(current_release=release, status=ListingStatus.PUBLISHED)
    listing.refresh_from_db()
    assert live.buyer.personal_of
    issued = issue_key(
        organization=live.buyer, user=live.buyer.personal_of, name="both", listings=[listing, live.listing],
        tokens_per_minute=1_000_000,
    )  # fmt: skip
    live.secret = issued.secret
    live.http.headers["Authorization"] = f"Bearer {issued.secret}"
    return live


def test_each_text_gets_a_vector_and_only_its_tokens_are_charged(live: Live) -> None:
    before = live.wallet()
    answer = live.openai().embeddings.create(model="seller/reader", input=["Shall I compare thee", "to"])
    run = live.last_run()
    assert answer.object == "list"
    assert answer.model == "seller/reader"
    assert [item.index for item in answer.data] == [0, 1]
    assert [len(item.embedding) for item in answer.data] == [3, 3]
    assert answer.data[0].embedding[0] + answer.data[1].embedding[0] == run.prompt_tokens
    assert answer.usage.prompt_tokens == answer.usage.total_tokens == run.prompt_tokens
    assert (run.status, run.endpoint, run.output_tokens) == (RunStatus.SUCCEEDED, Endpoint.EMBEDDING, 0)
    assert run.charge_nano == run.prompt_tokens * 100
    assert run.first_token_ms is not None
    after = live.wallet()
    assert (before.posted_nano - after.posted_nano, after.held_nano) == (run.charge_nano, 0)


@pytest.mark.parametrize("input_", [[5, 6, 7], [[5, 6, 7]]])
def test_tokens_are_taken_as_they_are(live: Live, input_: object) -> None:
    answer = live.openai().embeddings.create(model="seller/reader", input=input_, encoding_format="float")  # type: ignore[arg-type]
    assert [item.embedding for item in answer.data] == [[3.0, 5.0, 1.0]]


def test_the_two_formats_say_the_same(live: Live) -> None:
    body = {"model": "seller/reader", "input": "Shall I"}
    plain = live.http.post("/v1/embeddings", json=body).json()["data"][0]["embedding"]
    assert isinstance(plain, list)
    coded = live.http.post("/v1/embeddings", json=body | {"encoding_format": "base64"}).json()
    assert isinstance(coded["data"][0]["embedding"], str)
    assert live.openai().embeddings.create(**body).data[0].embedding == plain


def test_the_same_request_again_is_answered_and_not_charged(live: Live) -> None:
    options = {"extra_headers": {"Idempotency-Key": "the same vectors"}}
    first = live.openai().embeddings.create(model="seller/reader", input="Shall", **options)
    live.last_run()
    before = live.wallet()
    again = live.openai().embeddings.create(model="seller/reader", input="Shall", **options)
    assert again == first
    assert live.wallet().posted_nano == before.posted_nano


@pytest.mark.parametrize(
    ("changes", "param", "code"),
    [
        ({"dimensions": 256}, "dimensions", "unsupported_parameter"),
        ({"encoding_format": "int8"}, "encoding_format", "invalid_value"),
        ({"input": ""}, "input", "invalid_value"),
        ({"input": []}, "input", "invalid_value"),
        ({"input": ["a", ""]}, "input", "invalid_value"),
        ({"input": ["a", 1]}, "input", "invalid_value"),
        ({"input": [VOCABULARY]}, "input", "invalid_value"),
        ({"input": [[VOCABULARY]]}, "input", "invalid_value"),
        ({"input": [-1]}, "input[0]", "invalid_value"),
        ({"input": ["a"] * 1025}, "input", "invalid_value"),
        ({"input": [5] * (CONTEXT + 1)}, "input", "context_length_exceeded"),
        ({"input": [[5] * CONTEXT] * 300}, "input", "invalid_value"),
        ({"model": "seller/stub"}, "model", "invalid_value"),
        ({"model": "seller/none"}, "model", "model_not_found"),
        ({"truncate": True}, "truncate", "invalid_value"),
    ],
)
def test_what_cannot_be_honoured_is_refused_by_name(
    live: Live, changes: dict[str, object], param: str, code: str
) -> None:
    answer = live.http.post("/v1/embeddings", json={"model": "seller/reader", "input": "a"} | changes)
    error = answer.json()["error"]
    assert answer.status_code in (400, 404)
    assert (error["param"], error["code"]) == (param, code)


def test_a_request_without_input_is_told_so(live: Live) -> None:
    answer = live.http.post("/v1/embeddings", json={"model": "seller/reader"})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "input")


def test_an_encoder_writes_no_text(live: Live) -> None:
    with pytest.raises(openai.BadRequestError, match="writes no text") as caught:
        live.openai().completions.create(model="seller/reader", prompt="Shall")
    assert caught.value.param == "model"
