"""/api/usage: OpenAI's shape, filters, pages, tenants."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from django.test import Client

from store.accounts.models import User
from store.reputation.periods import DAY, HOUR
from store.usage.rollup import rebuild
from tests.store.reputation.conftest import RunMaker, past_run

__all__ = ["past_run"]
pytestmark = pytest.mark.django_db
NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
TIME = {"since": (NOON - 3 * DAY).isoformat(), "until": NOON.isoformat()}


@pytest.fixture
def signed_in(client: Client, consumer: User, past_run: RunMaker) -> Client:
    """The consumer's, who called three times in three days."""
    for back in (0.5 * HOUR, 1.5 * HOUR, 50 * HOUR):
        past_run(at=NOON - back, charge_nano=1_000, cached_tokens=40)
    rebuild(NOON - 4 * DAY, NOON)
    client.force_login(consumer)
    return client


def asked(client: Client, **query: Any) -> Any:
    answer = client.get("/api/usage", {**TIME, **query})
    assert answer.status_code == 200, answer.content
    return answer.json()


def test_a_session_is_needed(client: Client) -> None:
    assert client.get("/api/usage").json()["error"]["code"] == "not_signed_in"


def test_buckets_have_openais_shape(signed_in: Client) -> None:
    page = asked(signed_in)
    assert (page["object"], page["has_more"], page["next_page"]) == ("page", False, None)
    assert [len(bucket["results"]) for bucket in page["data"]] == [0, 1, 0, 1]
    last = page["data"][-1]
    assert (last["object"], last["end_time"] - last["start_time"]) == ("bucket", 86_400)
    [result] = last["results"]
    assert (result["num_model_requests"], result["input_tokens"], result["input_cached_tokens"]) == (2, 200, 80)
    assert (result["output_tokens"], result["charge_nano"], result["model"]) == (22, 2_000, None)
    assert result["ttft_p50_ms"] == pytest.approx(200, rel=0.1)


def test_hours_come_in_pages_without_gap_or_double(signed_in: Client) -> None:
    page, seen = asked(signed_in, bucket_width="1h", limit=30), []
    while True:
        seen += page["data"]
        if not page["has_more"]:
            break
        page = asked(signed_in, bucket_width="1h", limit=30, page=page["next_page"])
    assert [bucket["start_time"] for bucket in seen] == [
        int((NOON - back * HOUR).timestamp()) for back in range(72, 0, -1)
    ]
    assert sum(result["num_model_requests"] for bucket in seen for result in bucket["results"]) == 3


@pytest.mark.parametrize(
    ("group_by", "value"), [("model", "provider/bard"), ("kind", "chat"), ("api_key", None), ("member", None)]
)
def test_grouped(signed_in: Client, group_by: str, value: str | None) -> None:
    [result] = asked(signed_in, group_by=group_by)["data"][-1]["results"]
    assert result[group_by] == value
    assert result["num_model_requests"] == 2


def test_filtered(signed_in: Client) -> None:
    assert asked(signed_in, model="provider/bard", kind="chat")["data"][-1]["results"]
    assert not asked(signed_in, kind="training")["data"][-1]["results"]
    assert not asked(signed_in, member="consumer@example.com")["data"][-1]["results"]  # these runs were nobody's


@pytest.mark.parametrize(
    ("query", "status", "param"),
    [
        ({"bucket_width": "1w"}, 400, "bucket_width"),
        ({"group_by": "colour"}, 400, "group_by"),
        ({"limit": 0}, 400, "limit"),
        ({"since": "yesterday"}, 400, "since"),
        ({"since": NOON.isoformat(), "until": (NOON - 9 * DAY).isoformat()}, 400, "until"),
        ({"since": (NOON - 400 * DAY).isoformat()}, 400, "since"),
        ({"model": "nobody/nothing"}, 404, "model"),
        ({"api_key": "gst_nobody"}, 404, "api_key"),
        ({"member": "stranger@example.com"}, 404, "member"),
        ({"organization": "stranger"}, 404, "organization"),
    ],
)
def test_what_is_wrong_is_named(
    signed_in: Client, stranger: User, query: dict[str, Any], status: int, param: str
) -> None:
    answer = signed_in.get("/api/usage", {**TIME, **query})
    assert (answer.status_code, answer.json()["error"]["param"]) == (status, param)


def test_anothers_usage_is_not_there(signed_in: Client, stranger: User) -> None:
    browser = Client()
    browser.force_login(stranger)
    assert not any(bucket["results"] for bucket in asked(browser)["data"])
