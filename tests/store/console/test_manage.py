from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from store.accounts.models import Membership, Role, User
from store.catalog.actions import PriceSpec, set_price
from store.catalog.models import AccessRequest, AccessStatus, Listing, ListingStatus, Price, RefKind, Weights
from store.console.card_edit import open_card
from store.console.front_matter import CardParts
from store.console.repository import tree_of
from store.uploads.actions import begin_upload
from tests.conftest import DOLLAR
from tests.store.console.conftest import Draft, MakeRun

PAGES = ("", "/files", "/card", "/prices", "/access", "/analytics", "/settings")
POSTS = ("/deprecate", "/withdraw", "/republish", "/delete", "/files/delete", "/tags", "/card", "/prices", "/settings")
HEX = "0" * 64


def post_json(client: Client, address: str, said: Any) -> Any:
    return client.post(address, json.dumps(said), content_type="application/json")


def paths(draft: Draft) -> list[str]:
    return [file.path for file in tree_of(draft.listing).files]


@pytest.mark.django_db
@pytest.mark.parametrize("page", PAGES)
def test_every_page_of_a_model_and_of_an_empty_one_is_shown(
    seller: Client, listing: Listing, draft: Draft, page: str
) -> None:
    assert seller.get(f"/provider/bard/manage{page}").status_code == 200
    assert seller.get(draft.manage + page).status_code == 200


@pytest.mark.django_db
@pytest.mark.parametrize("page", [*PAGES, "/access.csv", "/analytics.csv"])
def test_a_strangers_model_is_a_404(stranger: User, draft: Draft, page: str) -> None:
    client = Client()
    assert client.get(draft.manage + page).status_code == 302  # to the sign-in
    client.force_login(stranger)
    assert client.get(draft.manage + page).status_code == 404


@pytest.mark.django_db
def test_a_viewer_looks_and_changes_nothing(stranger: User, provider: User, draft: Draft) -> None:
    Membership.objects.create(organization=provider.personal_organization, user=stranger, role=Role.VIEWER)
    client = Client()
    client.force_login(stranger)
    page = client.get(draft.manage).content.decode()
    assert "You can look" in page
    assert "Delete for ever" not in page
    for address in POSTS:
        assert client.post(draft.manage + address, {"name": "provider/verse"}).status_code == 403, address
    assert post_json(client, f"{draft.manage}/files/look", {"files": []}).status_code == 403


@pytest.mark.django_db
def test_the_store_says_what_it_thinks_of_names_before_a_byte_is_sent(
    seller: Client, draft: Draft, provider: User
) -> None:
    upload = begin_upload(
        organization=provider.personal_organization, user=provider, path="model.safetensors", size=7, sha256="a" * 64
    )
    wanted = [{"path": "model.safetensors", "size": 7}, {"path": "pytorch_model.bin", "size": 9},
              {"path": "../etc/passwd", "size": 1}, {"path": "config.json", "size": 10**18}]  # fmt: skip
    answer = post_json(seller, f"{draft.manage}/files/look", {"files": wanted}).json()["files"]
    assert [each["path"] for each in answer] == [each["path"] for each in wanted]
    assert answer[0]["problem"] == ""
    assert answer[0]["unfinished"]["sha256"] == upload.sha256
    assert answer[0]["unfinished"]["url"].startswith("/uploads/")
    assert "pickle" in answer[1]["problem"]
    assert answer[2]["problem"]
    assert "too large" in answer[3]["problem"]
    assert "model.safetensors" in seller.get(f"{draft.at}/files").content.decode()


@pytest.mark.django_db
@pytest.mark.parametrize(
    "said", ["x", [], {}, {"files": "x"}, {"files": [1]}, {"files": [{"path": 1, "size": 2}]}, {"files": [{"path": "a", "size": "b"}]},
             {"files": [{"path": "a", "size": True}]}, {"files": [{"path": "a", "size": 1}] * 1001}]
)  # fmt: skip
def test_a_question_that_makes_no_sense_is_refused_in_json(seller: Client, draft: Draft, said: Any) -> None:
    answer = post_json(seller, f"{draft.manage}/files/look", said)
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "invalid_request"


@pytest.mark.django_db
def test_what_arrived_becomes_one_commit_and_absent_files_stay(seller: Client, draft: Draft) -> None:
    draft.commit("model.safetensors", "config.json")
    held = {file.path: file.sha256 for file in tree_of(draft.listing).files}
    files = [{"path": "tokenizer.json", "sha256": held["config.json"]}]
    answer = post_json(seller, f"{draft.manage}/files/commit", {"files": files, "title": ""})
    assert answer.json()["url"] == f"{draft.at}/files"
    assert paths(draft) == ["README.md", "config.json", "model.safetensors", "tokenizer.json"]
    post_json(seller, f"{draft.manage}/files/commit", {"files": files, "replace": True})
    assert paths(draft) == ["README.md", "tokenizer.json"]
    again = post_json(seller, f"{draft.manage}/files/commit", {"files": files, "replace": True})
    assert again.json()["commit"] == tree_of(draft.listing).commit.oid  # type: ignore[union-attr]


@pytest.mark.django_db
def test_a_commit_of_what_never_arrived_changes_nothing_and_names_the_file(seller: Client, draft: Draft) -> None:
    answer = post_json(seller, f"{draft.manage}/files/commit", {"files": [{"path": "config.json", "sha256": HEX}]})
    assert answer.status_code == 400
    assert answer.json()["error"]["problems"][0]["path"] == "config.json"
    assert post_json(seller, f"{draft.manage}/files/commit", {"files": []}).status_code == 400
    assert paths(draft) == ["README.md"]


@pytest.mark.django_db
def test_files_are_deleted_and_tags_given_and_taken(seller: Client, draft: Draft) -> None:
    draft.commit("config.json", "model.safetensors")
    seller.post(f"{draft.manage}/tags", {"name": "v1.0", "message": "first"})
    assert draft.listing.refs.get(kind=RefKind.TAG).name == "v1.0"
    assert seller.post(f"{draft.manage}/files/delete", {"path": ["config.json"]}).status_code == 302
    assert paths(draft) == ["README.md", "model.safetensors"]
    assert seller.post(f"{draft.manage}/files/delete", {"path": ["config.json"]}).status_code == 404
    assert seller.post(f"{draft.manage}/files/delete", {}).status_code == 400
    page = seller.get(f"{draft.manage}/files").content.decode()
    assert "v1.0" in page
    assert "Delete config.json" in page
    seller.post(f"{draft.manage}/tags", {"name": "v1.0", "delete": ""})
    assert not draft.listing.refs.filter(kind=RefKind.TAG).exists()


@pytest.mark.django_db
def test_a_card_is_saved_as_a_commit_and_keeps_what_the_form_does_not_know(seller: Client, draft: Draft) -> None:
    page = seller.get(f"{draft.manage}/card").content.decode()
    opened = open_card(draft.listing)
    assert f'value="{opened.sha256}"' in page
    form = {"licence": "mit", "tags": "verse, verse, small", "languages": "en, de", "base": "", "task": "", "relation": "",
            "rest": "datasets:\n- own", "body": "# Verse\r\n\r\n诗 & <b>", "base_sha256": opened.sha256}  # fmt: skip
    assert seller.post(f"{draft.manage}/card", form).status_code == 302
    text = open_card(draft.listing).text
    assert text.startswith(
        "---\nlicense: mit\nlanguage:\n- en\n- de\ntags:\n- verse\n- small\ndatasets:\n- own\n---\n\n# Verse\n"
    )
    parts = CardParts.of(text)
    assert (parts.tags, parts.rest) == (["verse", "small"], "datasets:\n- own")
    assert parts.text() == text


@pytest.mark.django_db
def test_two_who_save_a_card_lose_nothing(seller: Client, draft: Draft) -> None:
    before = open_card(draft.listing).sha256
    form = {"licence": "mit", "body": "# Mine", "base_sha256": before}
    assert seller.post(f"{draft.manage}/card", {**form, "body": "# Theirs"}).status_code == 302
    refused = seller.post(f"{draft.manage}/card", form)
    page = refused.content.decode()
    assert refused.status_code == 422
    assert "# Theirs" in page
    assert "# Mine" in page
    assert "Theirs" in open_card(draft.listing).text
    now = open_card(draft.listing).sha256
    assert f'value="{now}"' in page  # the next save is on top of theirs
    assert seller.post(f"{draft.manage}/card", {**form, "base_sha256": now}).status_code == 302
    assert "# Mine" in open_card(draft.listing).text


@pytest.mark.django_db
def test_a_card_of_a_model_on_the_shelf_is_published_at_once(seller: Client, listing: Listing, provider: User) -> None:
    Draft(listing, provider).commit("model.safetensors")
    form = {"licence": "mit", "body": "# Bard, again", "base_sha256": "", "publish": ""}
    assert seller.post("/provider/bard/manage/card", form)["Location"] == "/publish/provider/bard/checks"
    submission = listing.submissions.get()
    assert (submission.goes_live, submission.commit.title) == (True, "Edit the card")


@pytest.mark.django_db
def test_front_matter_that_is_broken_is_shown_and_not_saved(seller: Client, draft: Draft) -> None:
    form = {"licence": "mit", "rest": "a: [", "body": "x", "base_sha256": open_card(draft.listing).sha256}
    refused = seller.post(f"{draft.manage}/card", form)
    assert refused.status_code == 422
    assert "YAML" in refused.content.decode()
    assert CardParts.of("---\na: [\nlicense: mit\n---\nbody").rest == "a: [\n".strip()


@pytest.mark.django_db
def test_the_preview_is_as_safe_as_the_page(seller: Client, draft: Draft) -> None:
    body = "# Hi\n\n**bold**\n\n<script>alert(1)</script><img src=https://evil.example/x.png>"
    page = seller.post(f"{draft.manage}/card/preview", {"body": body}).content.decode()
    assert "<strong>bold</strong>" in page
    assert "<script" not in page
    assert "<img" not in page


@pytest.mark.django_db
def test_settings_say_who_sees_and_what_the_gate_asks(seller: Client, draft: Draft) -> None:
    form = {"title": "Verse", "summary": "", "category": "writing", "audience": "private", "weights": "gated",
            "gate_questions": "What for?\n\nWhere?", "gate_days": "30", "gate_is_automatic": "on"}  # fmt: skip
    assert seller.post(f"{draft.manage}/settings", form).status_code == 302
    draft.listing.refresh_from_db()
    assert (draft.listing.category, draft.listing.is_private, draft.listing.weights) == ("writing", True, Weights.GATED)
    assert (draft.listing.gate_questions, draft.listing.gate_days) == (["What for?", "Where?"], 30)
    for wrong in ({"category": "nope"}, {"gate_days": "0"}, {"title": ""}, {"gate_questions": "a\n" * 11}):
        assert seller.post(f"{draft.manage}/settings", {**form, **wrong}).status_code == 422, wrong


@pytest.mark.django_db
def test_a_model_is_deprecated_withdrawn_and_published_again(seller: Client, listing: Listing) -> None:
    at = "/provider/bard/manage"
    day = (timezone.now() + timedelta(days=30)).date()
    seller.post(f"{at}/deprecate", {"shutdown_at": f"{day}", "reason": "A better one is here."})
    listing.refresh_from_db()
    assert listing.status == ListingStatus.DEPRECATED
    assert listing.shutdown_at
    assert listing.shutdown_at.date() == day
    assert "A better one is here." in seller.get(at).content.decode()
    seller.post(f"{at}/withdraw", {"withdraw-reason": "Done."})
    listing.refresh_from_db()
    assert listing.status == ListingStatus.WITHDRAWN
    seller.post(f"{at}/republish")
    listing.refresh_from_db()
    assert listing.status == ListingStatus.PUBLISHED
    page = seller.post(f"{at}/deprecate", {"shutdown_at": "yesterday"}, follow=True).content.decode()
    assert "Choose the last day" in page


@pytest.mark.django_db
def test_only_who_types_the_name_deletes(seller: Client, draft: Draft) -> None:
    assert seller.post(f"{draft.manage}/delete", {"name": "verse"}).status_code == 400
    draft.listing.refresh_from_db()
    assert draft.listing.deleted_at is None
    assert seller.post(f"{draft.manage}/delete", {"name": "provider/verse"})["Location"] == "/provider"
    assert seller.get(draft.manage).status_code == 404
    assert "verse" not in seller.get("/provider").content.decode().split("Models</h2>")[1]


@pytest.mark.django_db
def test_a_dearer_price_is_scheduled_and_taken_back(seller: Client, listing: Listing, provider: User) -> None:
    at = "/provider/bard/manage/prices"
    assert seller.post(at, {"input": "0.2", "output": "0.8", "starts": "7"}).status_code == 302
    scheduled = listing.prices.scheduled().get()
    assert (scheduled.input_nano, scheduled.starts_at > timezone.now() + timedelta(days=6)) == (200_000_000, True)
    assert "Take back" in seller.get(at).content.decode()
    assert seller.post(f"{at}/{scheduled.pk}/cancel").status_code == 302
    current = listing.prices.current().first()
    assert current
    assert current.input_nano == 100_000_000
    assert seller.post(f"{at}/{10**9}/cancel").status_code == 404
    assert seller.post(at, {"input": "0.05", "output": "0.8", "starts": "sometime"}).status_code == 422
    before = Price.objects.count()
    set_price(listing=listing, user=provider, price=PriceSpec(input_nano=DOLLAR, output_nano=DOLLAR))
    assert Price.objects.count() == before + 1
    assert "Before" in seller.get(at).content.decode()


@pytest.mark.django_db
def test_access_is_asked_for_granted_and_taken_back(
    seller: Client, browser: Client, listing: Listing, consumer: User
) -> None:
    Listing.objects.update(weights=Weights.GATED, gate_questions=["What for?"])
    assert "What for?" in browser.get("/provider/bard/access").content.decode()
    assert browser.post("/provider/bard/access", {"answer": [""]}).status_code == 422
    assert browser.post("/provider/bard/access", {"answer": ["=HYPERLINK(1)"]}).status_code == 302
    assert "You have asked" in browser.get("/provider/bard/access").content.decode()
    access = AccessRequest.objects.get()
    at = "/provider/bard/manage/access"
    assert "consumer@example.com" in seller.get(at).content.decode()
    seller.post(f"{at}/{access.pk}", {"answer": "grant"})
    assert "You were let in" in browser.get("/provider/bard/access").content.decode()
    seller.post(f"{at}/{access.pk}", {"answer": "revoke", "reason": "The licence was broken."})
    assert "The licence was broken." in browser.get("/provider/bard/access").content.decode()
    access.refresh_from_db()
    assert access.status == AccessStatus.REFUSED
    csv = seller.get(f"{at}.csv").content.decode()
    assert "consumer@example.com" in csv
    assert "What for?: =HYPERLINK(1)" in csv
    assert browser.post(f"{at}/{access.pk}", {"answer": "grant"}).status_code == 404
    assert seller.post(f"{at}/{access.pk}", {"answer": "perhaps"}).status_code == 400
    assert seller.post(f"{at}/{10**9}", {"answer": "grant"}).status_code == 404


@pytest.mark.django_db
def test_files_that_nobody_gates_need_no_asking(browser: Client, listing: Listing) -> None:
    assert browser.get("/provider/bard/access").status_code == 404


@pytest.mark.django_db
@pytest.mark.parametrize("span", ["24h", "7d", "30d", "90d", "365d", "nonsense"])
def test_analytics_are_shown_for_every_period(seller: Client, make_run: MakeRun, span: str) -> None:
    make_run()
    assert seller.get("/provider/bard/manage/analytics", {"span": span}).status_code == 200
    assert seller.get("/provider/bard/manage/analytics.csv", {"span": span}).content.startswith(b"time,listing,calls")
    assert seller.get("/provider/analytics.csv", {"span": span}).status_code == 200
    assert seller.get("/provider/analytics", {"span": span}).status_code == 200
