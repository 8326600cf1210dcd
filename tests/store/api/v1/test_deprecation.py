"""A model that ends says so on every answer, and in the list of models."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from store.catalog.models import Listing, ListingStatus
from tests.store.live import Live

SAID_AT, ENDS_AT = datetime(2026, 1, 2, tzinfo=UTC), datetime(2099, 3, 4, 5, 6, 7, tzinfo=UTC)
BODY = {"prompt": "Shall I compare thee", "max_tokens": 4}


@pytest.fixture(scope="module")
def live(live: Live) -> Live:
    live.start_stub(STUB_TOKENS="4")
    Listing.objects.update(
        status=ListingStatus.DEPRECATED, deprecated_at=SAID_AT, shutdown_at=ENDS_AT, status_reason="Old."
    )
    return live


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_of_a_deprecated_model_names_its_last_day(live: Live, stream: bool) -> None:
    answer = live.http.post("/v1/completions", json={"model": live.model, "stream": stream, **BODY})
    assert answer.status_code == 200
    assert answer.headers["deprecation"] == f"@{int(SAID_AT.timestamp())}"
    assert answer.headers["sunset"] == "Wed, 04 Mar 2099 05:06:07 GMT"


def test_the_list_of_models_says_when_and_why(live: Live) -> None:
    (model,) = live.http.get("/v1/models").json()["data"]
    assert model["deprecation"] == {
        "deprecated_at": int(SAID_AT.timestamp()), "shutdown_at": int(ENDS_AT.timestamp()), "reason": "Old.",
    }  # fmt: skip
