"""A card in the browser: what it is now, and saving it without losing what somebody else saved meanwhile."""

from __future__ import annotations

from dataclasses import dataclass

from django.core.files.storage import default_storage

from inference.manifest import MAX_TEXT_BYTES
from store.accounts.models import User
from store.catalog.actions.cards import edit_card
from store.catalog.actions.repositories import CARD
from store.catalog.models import Commit, Listing
from store.console.wizard import head_of
from store.errors import Conflict


class CardMoved(Conflict):
    """Somebody else saved the card since it was opened here."""

    code = "card_moved"
    default_message = "Somebody else has saved the card meanwhile. Bring the two together, and save again."


@dataclass(frozen=True, slots=True)
class OpenCard:
    """README.md on main; ``sha256`` is empty where there is none."""

    text: str
    sha256: str
    commit: Commit | None


def open_card(listing: Listing) -> OpenCard:
    """What is longer than a card may be is cut: the checks refuse it anyway."""
    head = head_of(listing)
    file = head.files.filter(path=CARD).select_related("blob").first() if head else None
    if file is None:
        return OpenCard("", "", head)
    with default_storage.open(file.blob.storage_name) as source:
        text = source.read(MAX_TEXT_BYTES).decode(errors="replace")
    return OpenCard(text, file.blob_id, head)


def save_card(*, listing: Listing, user: User, text: str, base_sha256: str) -> Commit:
    """Raises CardMoved where the card is no more the one that was opened, and what ``edit_card`` raises."""
    now = open_card(listing)
    if now.sha256 != base_sha256:
        raise CardMoved
    return edit_card(listing=listing, user=user, text=text, parent_oid=now.commit.oid if now.commit else None)
