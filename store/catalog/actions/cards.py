"""A listing's card, edited in the browser: README.md of its repository."""

from __future__ import annotations

import hashlib

from django.utils.translation import gettext as _

from inference.manifest import MAX_TEXT_BYTES
from store.accounts.models import User
from store.catalog.actions.permission import check_publisher
from store.catalog.actions.repositories import AddFile, commit_files
from store.catalog.actions.submissions import submit_commit
from store.catalog.blobs import store_data
from store.catalog.card import CardError, read_card
from store.catalog.models import Commit, Listing, Submission
from store.catalog.storage import keep_blob
from store.errors import InvalidRequest

CARD = "README.md"


def edit_card(*, listing: Listing, user: User, text: str, parent_oid: str | None = None) -> Commit:
    """A commit of README.md on ``main``; ``main``'s, where the text is what it was. Not inside a transaction.

    With ``parent_oid`` ``main`` must be there still. Raises NotFound, InvalidRequest (``text``: too long, or front matter that cannot
    be read), BranchMoved, QuotaExceeded.
    """
    check_publisher(listing.organization, user)
    data = text.replace("\r\n", "\n").encode(errors="replace")
    if len(data) > MAX_TEXT_BYTES or b"\0" in data:
        raise InvalidRequest(_("A card is text of at most %(most)d bytes.") % {"most": MAX_TEXT_BYTES}, param="text")
    try:
        read_card(text)
    except CardError as error:
        raise InvalidRequest(str(error), param="text") from None
    sha256 = hashlib.sha256(data).hexdigest()
    store_data(sha256, data)
    keep_blob(organization=listing.organization, sha256=sha256, size=len(data), reserved=0)
    change, title = AddFile(CARD, sha256), _("Edit the card")
    return commit_files(listing=listing, user=user, changes=[change], title=title, parent_oid=parent_oid)


def publish_card(*, listing: Listing, user: User, text: str) -> Submission:
    """Commits the card and submits the commit. Where nothing but the card differs from the current release, no number is measured again,
    and a listing that is on the shelf shows it as soon as it was checked. Raises what ``edit_card`` and ``submit_commit`` raise.
    """
    commit = edit_card(listing=listing, user=user, text=text)
    return submit_commit(listing=listing, user=user, commit=commit, goes_live=True)
