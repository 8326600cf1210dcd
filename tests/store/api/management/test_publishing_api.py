"""A model from draft to shelf by /api alone, and what people say of it there."""

from __future__ import annotations

import csv
import io
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from store.accounts.models import User
from store.catalog.models import Listing, Release, Submission, SubmissionStatus
from store.ledger.models import Wallet
from store.reputation.histogram import BUCKETS
from store.reputation.models import ListingHour
from store.reputation.periods import hour_of
from tests.store.catalog.drafts import check, make_draft, measure

PRICE = {"input_nano": 500_000_000, "output_nano": 1_500_000_000}


@pytest.fixture
def seller(client: Client, provider: User) -> Client:
    client.force_login(provider)
    return client


@pytest.fixture
def draft(provider: User) -> Listing:
    return make_draft(provider, "sonnet")


def post(client: Client, path: str, **body: Any) -> Any:
    return client.post(path, body, content_type="application/json")


def test_a_draft_is_made_checked_measured_priced_and_published(seller: Client, draft: Listing) -> None:
    at = f"/api/listings/{draft.name}"
    assert seller.get(at).json()["status"] == "draft"
    (commit,) = seller.get(f"{at}/commits").json()["results"][:1]
    assert [f["path"] for f in seller.get(f"{at}/commits/main").json()["files"]] == ["README.md", "config.json"]
    made = post(seller, f"{at}/submissions")
    assert (made.status_code, made.json()["status"], made.json()["commit"]) == (201, "checking", commit["oid"])
    one = f"{at}/submissions/{made.json()['id']}"
    submission = Submission.objects.get(pk=made.json()["id"])
    measure(check(submission))
    assert seller.get(one).json()["status"] == "ready"
    unpriced = post(seller, f"{one}/publish")
    assert unpriced.json()["error"]["param"] == "price"
    assert post(seller, f"{at}/prices", **PRICE).status_code == 201
    assert post(seller, f"{one}/publish").json()["status"] == "published"
    shown = seller.get(at).json()
    assert (shown["status"], shown["price"]["output_nano"]) == ("published", PRICE["output_nano"])
    (release,) = Client().get(f"{at}/releases").json()["results"]
    assert release["digest"] == shown["digest"]
    assert release["measured"]["status"] == "done"
    assert seller.get(f"{at}/releases/{release['number']}").json()["files"][0]["path"] == "README.md"


def test_a_submission_is_cancelled(seller: Client, draft: Listing) -> None:
    at = f"/api/listings/{draft.name}/submissions"
    made = post(seller, at).json()
    assert post(seller, f"{at}/{made['id']}/cancel").json()["status"] == SubmissionStatus.CANCELLED
    assert post(seller, f"{at}/{made['id']}/cancel").status_code in (200, 409)


def test_an_unknown_revision_is_named(seller: Client, draft: Listing) -> None:
    answer = post(seller, f"/api/listings/{draft.name}/submissions", revision="nowhere")
    assert (answer.status_code, answer.json()["error"]["param"]) == (404, "revision")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("input_nano", -1),
        ("output_nano", 10**30),
        ("input_nano", "1.5"),
        ("royalty_ppm", 2_000_000),
        ("starts_at", "soon"),
    ],
)
def test_a_senseless_price_is_refused_by_name(seller: Client, listing: Listing, field: str, value: Any) -> None:
    answer = post(seller, f"/api/listings/{listing.name}/prices", **{**PRICE, field: value})
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] in (field, field.removesuffix("_nano"), field.removesuffix("_ppm"))
    assert listing.prices.count() == 1


def test_a_scheduled_price_is_shown_and_taken_back(seller: Client, listing: Listing) -> None:
    at = f"/api/listings/{listing.name}/prices"
    starts_at = (timezone.now() + timedelta(days=30)).isoformat()
    made = post(seller, at, **{**PRICE, "starts_at": starts_at})
    assert made.status_code == 201
    assert seller.get(at).json()["results"][0]["id"] == made.json()["id"]
    instead = seller.delete(f"{at}/{made.json()['id']}")
    assert (instead.status_code, instead.json()["output_nano"]) == (200, 400_000_000)
    assert seller.delete(f"{at}/999999").status_code == 404


def test_a_repository_is_changed_by_commits_and_refs(seller: Client, draft: Listing) -> None:
    at = f"/api/listings/{draft.name}"
    changes = [
        {"action": "copy", "source": "README.md", "path": "NOTICE.md"},
        {"action": "delete", "path": "config.json"},
    ]
    made = post(seller, f"{at}/commits", title="Tidy", changes=changes)
    assert made.status_code == 201, made.content
    assert [f["path"] for f in seller.get(f"{at}/commits/main").json()["files"]] == ["NOTICE.md", "README.md"]
    assert post(seller, f"{at}/refs", kind="tag", name="v1").json()["commit"] == made.json()["oid"]
    assert post(seller, f"{at}/refs", kind="tag", name="v1").status_code == 409
    assert seller.delete(f"{at}/refs/tag/v1").status_code == 204
    pickled = post(
        seller, f"{at}/commits", title="No", changes=[{"action": "add", "path": "x.bin", "sha256": "0" * 64}]
    )
    assert pickled.status_code == 400
    assert "python -m inference.convert" in pickled.json()["error"]["message"]


def test_a_listing_is_edited_withdrawn_and_brought_back(seller: Client, listing: Listing) -> None:
    at = f"/api/listings/{listing.name}"
    assert seller.patch(at, {"summary": "Verse"}, content_type="application/json").json()["summary"] == "Verse"
    wrong = seller.patch(at, {"weights": "free"}, content_type="application/json")
    assert wrong.json()["error"]["param"] == "weights"
    assert post(seller, f"{at}/withdraw", reason="A better one comes").json()["status"] == "withdrawn"
    assert Client().get(at).status_code == 404
    assert post(seller, f"{at}/republish").json()["status"] == "published"
    assert seller.delete(at).status_code == 204
    assert seller.get(at).status_code == 404


def test_moderators_work_by_api(
    client: Client, listing: Listing, moderator: User, consumer: User, provider: User
) -> None:
    at = f"/api/listings/{listing.name}"
    client.force_login(consumer)
    assert post(client, f"{at}/report", reason="misleading", text="It is not Shakespeare.").status_code == 201
    assert post(client, f"{at}/suspend", reason="x").status_code == 403
    client.force_login(moderator)
    (report,) = client.get("/api/moderation/reports").json()["results"]
    assert report["listing"] == listing.name
    assert post(client, f"{at}/suspend", reason="Looked into").json()["action"] == "suspend"
    assert client.get("/api/moderation/reports").json()["results"] == []
    client.force_login(provider)
    (decision,) = client.get(f"{at}/decisions").json()["results"]
    appeal = post(client, f"{at}/decisions/{decision['id']}/appeal", text="It is.")
    assert appeal.status_code == 201
    client.force_login(moderator)
    answered = post(
        client, f"/api/moderation/appeals/{appeal.json()['id']}/answer", is_granted=True, answer="So it is."
    )
    assert answered.json()["status"] == "granted"
    assert Client().get(at).json()["status"] == "published"


def test_only_customers_review(client: Client, listing: Listing, stranger: User, wallet: Wallet) -> None:
    client.force_login(stranger)
    refused = post(client, f"/api/listings/{listing.name}/reviews", stars=5)
    assert refused.status_code == 403
    assert client.put(f"/api/listings/{listing.name}/favourite").status_code == 204
    assert client.get("/api/favourites").json()["results"][0]["listing"]["name"] == listing.name
    assert client.delete(f"/api/listings/{listing.name}/favourite").status_code == 204
    assert client.get("/api/favourites").json()["results"] == []


def test_figures_of_a_listing(seller: Client, listing: Listing) -> None:
    release = Release.objects.get(listing=listing)
    ListingHour.objects.create(
        listing=listing, hour=hour_of(timezone.now()), calls=4, failed=1, paid_calls=3, prompt_tokens=10, cached_tokens=0,
        output_tokens=20, charge_nano=300, provider_nano=255, first_token_ms=[0] * BUCKETS, tokens_per_s=[0] * BUCKETS,
    )  # fmt: skip
    served = Client().get(f"/api/listings/{listing.name}/service?days=1").json()
    assert (served["whole"]["calls"], served["whole"]["uptime"]) == (4, 0.75)
    assert len(served["series"]) == 24
    (day,) = seller.get("/api/analytics").json()
    assert (day["calls"], day["revenue_nano"]) == (4, 255)
    text = b"".join(seller.get("/api/analytics.csv?by=listing").streaming_content).decode()
    assert next(csv.DictReader(io.StringIO(text)))["listing"] == listing.name
    assert seller.get("/api/analytics?by=minute").json()["error"]["param"] == "by"
    assert seller.get("/api/analytics?listing=acme/none").status_code == 404
    assert release.digest == Client().get(f"/api/listings/{listing.name}").json()["digest"]


def test_search_and_rankings_answer_anything(client: Client, listing: Listing) -> None:
    found = client.get("/api/search?q=bard&task=text-generation").json()
    assert [hit["name"] for hit in found["results"]] == [listing.name]
    assert client.get("/api/search?q=%00%F0%9F%A6%84&price_min=1e99&limit=-5").status_code == 200
    assert client.get("/api/rankings/newest").json()[0]["name"] == listing.name
    assert client.get("/api/rankings/best").status_code == 404
    assert {"slug", "label"} <= set(client.get("/api/categories").json()[0])
    assert client.get(f"/api/listings/{listing.name}/similar").json() == []
    assert client.get(f"/api/listings/{listing.name}/lineage").json()["has_more"] is False
