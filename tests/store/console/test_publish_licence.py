"""The licence that was chosen in the first step: it stays, and it can be chosen again."""

from __future__ import annotations

import json

import pytest
from django.test import Client
from django.utils import timezone

from store.accounts.models import User
from store.catalog.models import Listing, ListingStatus
from store.console.card_edit import open_card, save_card
from store.console.front_matter import with_keys
from store.uploads.actions import store_bytes
from tests.store.console.conftest import Draft

pytestmark = pytest.mark.django_db

DETAILS = {"title": "Verse", "licence": "mit", "audience": "public", "weights": "closed"}


def drop_card(client: Client, draft: Draft, text: str) -> str:
    """A README.md from the browser; the answer is what lies on main then."""
    sent = store_bytes(
        organization=draft.listing.organization, user=draft.user, path="README.md", data=text.encode("utf-8")
    )
    said = {"files": [{"path": "README.md", "sha256": sent.sha256}]}
    answer = client.post(f"{draft.manage}/files/commit", json.dumps(said), content_type="application/json")
    assert answer.status_code == 200
    return open_card(draft.listing).text


@pytest.mark.parametrize(
    ("dropped", "kept"),
    [
        ("# Sonnets\n", "---\nlicense: mit\n---\n\n# Sonnets\n"),
        ("---\ntags: [verse] # mine\n---\nHi\n", "---\nlicense: mit\ntags: [verse] # mine\n---\n\nHi\n"),
        ("---\nlicense:\ntitle: Ode\n---\nHi\n", "---\nlicense: mit\ntitle: Ode\n---\n\nHi\n"),
        ("\ufeff---\r\nlanguage: en\r\n---\r\nHi\r\n", "---\nlicense: mit\nlanguage: en\r\n---\n\nHi\r\n"),
    ],
)
def test_a_card_without_a_licence_keeps_the_one_that_was_chosen(
    seller: Client, draft: Draft, dropped: str, kept: str
) -> None:
    assert drop_card(seller, draft, dropped) == kept
    assert "said no licence" in seller.get(f"{draft.at}/files").content.decode()
    draft.listing.refresh_from_db()
    assert draft.listing.licence == "mit"


@pytest.mark.parametrize(
    "dropped", ["---\nlicense: apache-2.0\n---\nHi\n", "---\nlicense: [mit, x]\n---\n", "---\na: [\n---\nHi\n"]
)
def test_a_card_that_says_something_else_or_cannot_be_read_stays_as_it_is(
    seller: Client, draft: Draft, dropped: str
) -> None:
    assert drop_card(seller, draft, dropped) == dropped


def test_a_licence_of_ones_own_keeps_its_name(seller: Client, draft: Draft) -> None:
    own = "---\nlicense: other\nlicense_name: Sea licence\n---\n\n# Verse\n"
    save_card(listing=draft.listing, user=draft.user, text=own, base_sha256=open_card(draft.listing).sha256)
    assert drop_card(seller, draft, "Hi\n") == "---\nlicense: other\nlicense_name: Sea licence\n---\n\nHi\n"


def test_the_content_of_others_is_not_read_for_its_card(seller: Client, draft: Draft, consumer: User) -> None:
    organization = consumer.personal_organization
    theirs = store_bytes(organization=organization, user=consumer, path="README.md", data=b"# Their secret\n")
    said = {"files": [{"path": "README.md", "sha256": theirs.sha256}]}
    answer = seller.post(f"{draft.manage}/files/commit", json.dumps(said), content_type="application/json")
    assert answer.status_code >= 400
    assert open_card(draft.listing).text == "---\nlicense: mit\n---\n\n# Verse\n"


def test_licence_and_title_of_a_draft_change_in_its_card_too(seller: Client, draft: Draft) -> None:
    assert seller.post(f"{draft.at}/details", {**DETAILS, "licence": "apache-2.0", "title": "Odes"}).status_code == 302
    draft.listing.refresh_from_db()
    assert (draft.listing.licence, draft.listing.title) == ("apache-2.0", "Odes")
    assert open_card(draft.listing).text == "---\nlicense: apache-2.0\n---\n\n# Odes\n"
    before = open_card(draft.listing).commit
    assert seller.post(f"{draft.at}/details", {**DETAILS, "licence": "apache-2.0", "title": "Odes"}).status_code == 302
    assert open_card(draft.listing).commit == before  # nothing changed, so nothing was committed


def test_a_licence_that_makes_no_sense_changes_nothing(seller: Client, draft: Draft) -> None:
    answer = seller.post(f"{draft.at}/details", {**DETAILS, "licence": "apache", "title": "Odes"})
    assert (answer.status_code, "Did you mean" in answer.content.decode()) == (422, True)
    draft.listing.refresh_from_db()
    assert draft.listing.title == "Verse"


def test_the_card_of_what_was_published_is_for_its_editor(seller: Client, draft: Draft) -> None:
    Listing.objects.update(status=ListingStatus.PUBLISHED, published_at=timezone.now())
    assert seller.post(f"{draft.at}/details", {**DETAILS, "licence": "apache-2.0", "title": "Odes"}).status_code == 302
    draft.listing.refresh_from_db()
    assert draft.listing.title == "Odes"
    assert open_card(draft.listing).text == "---\nlicense: mit\n---\n\n# Verse\n"


def test_keys_of_a_card_are_replaced_and_all_else_stays() -> None:
    card = "---\n# mine\nlicense:\n  - a\nx: 1\n---\nHi\n---\n"
    assert with_keys(card, {"license": "mit"}) == "---\nlicense: mit\n# mine\nx: 1\n---\n\nHi\n---\n"
