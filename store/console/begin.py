"""A model's first moment: its name, and a card that says its licence; and what is changed of that later."""

from __future__ import annotations

from store.accounts.models import Organization, User
from store.catalog.actions.cards import edit_card
from store.catalog.actions.listings import edit_listing
from store.catalog.actions.repositories import create_listing
from store.catalog.licences import licence_fault
from store.catalog.models import Listing, Weights
from store.console.card_edit import open_card, save_card
from store.console.front_matter import CardParts, licence_keys, with_keys
from store.errors import InvalidRequest


def begin_listing(
    *, organization: Organization, user: User, slug: str, title: str, licence: str, is_private: bool, weights: Weights
) -> Listing:
    """A draft with a card. What a listing says of itself is in its card, so the licence is written there.

    Not inside a transaction. Raises InvalidRequest (``licence``) and what ``create_listing``, ``edit_listing`` and ``edit_card`` raise.
    """
    _check_licence(licence)
    listing = create_listing(organization=organization, user=user, slug=slug, is_private=is_private, title=title)
    edit_listing(listing=listing, user=user, weights=weights)
    card = CardParts(licence=licence, body=f"# {title or slug}\n")
    edit_card(listing=listing, user=user, text=card.text())
    listing.refresh_from_db()
    return listing


def change_details(
    *, listing: Listing, user: User, title: str, licence: str, is_private: bool, weights: Weights
) -> Listing:
    """Writes licence and title into the card as well, of what is not on the shelf yet; the card of what was published is for its editor.

    Not inside a transaction. Raises InvalidRequest (``licence``), CardMoved and what ``edit_listing`` and ``edit_card`` raise.
    """
    is_new = listing.published_at is None
    if is_new:
        _check_licence(licence)
    before = listing.title
    edited = edit_listing(listing=listing, user=user, title=title, is_private=is_private, weights=weights)
    if is_new:
        card = open_card(listing)
        text = _retitled(card.text, before, title)
        if licence_keys(text).get("license") != licence:
            text = with_keys(text, {"license": licence})
        if text != card.text:
            save_card(listing=listing, user=user, text=text, base_sha256=card.sha256)
    return edited


def _retitled(text: str, before: str, title: str) -> str:
    """Only the heading that the first step wrote: one that somebody else wrote is theirs."""
    lines = text.splitlines(keepends=True)
    heading = next((number for number, line in enumerate(lines) if line.rstrip() == f"# {before}"), None)
    if heading is not None:
        lines[heading] = f"# {title}\n"
    return "".join(lines)


def _check_licence(licence: str) -> None:
    """Raises InvalidRequest (``licence``)."""
    fault = licence_fault(licence, name="to come", has_text=True)  # the text of one of its own comes with the files
    if fault:
        raise InvalidRequest(fault, param="licence")
