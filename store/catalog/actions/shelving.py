"""A release goes on the shelf: what is called moves to it, runs under way go on with the one they have."""

from __future__ import annotations

from django.utils import timezone
from django.utils.translation import gettext as _

from store.catalog.actions.errors import NotInThisState
from store.catalog.actions.lineage import find_base_listing
from store.catalog.actions.listings import TRANSITIONS, check_fields
from store.catalog.actions.moves import move
from store.catalog.models import ListingStatus, Price, Submission, SubmissionStatus

FROM_CARD = ("summary", "licence", "tags", "languages")


def put_on_shelf(submission: Submission) -> None:
    """The listing shows and serves the submission's release from now on. Inside a transaction that has the listing's row locked.

    Raises NotInThisState (suspended, or without a release), InvalidRequest where the card cannot be shown.
    """
    listing, release = submission.listing, submission.release
    if listing.status == ListingStatus.SUSPENDED or release is None:
        raise NotInThisState(_("%(name)s is suspended: an appeal can be made against that.") % {"name": listing.name})
    card = submission.card
    shown = {name: value for name in FROM_CARD if (value := card.get(name))} | {"task": release.task}
    check_fields(listing.slug, {"title": listing.title, "licence": listing.licence, **shown})
    made_from = release.terms.base if release.terms else release.base.listing if release.base else None
    base = made_from or find_base_listing(listing, card.get("base_model", ""))
    relation = "adapter" if release.base else card.get("base_model_relation") or "finetune"
    move(
        listing, ListingStatus.PUBLISHED, TRANSITIONS,
        **shown, base=base, base_relation=relation if base else "", current_release=release, published_at=listing.published_at or timezone.now(),
        deprecated_at=None, shutdown_at=None, status_reason="",
    )  # fmt: skip


def wants_review(submission: Submission) -> bool:
    """Whether a moderator looks at it first: a listing's first release, another licence, other terms for derivatives."""
    listing = submission.listing
    if listing.published_at is None:
        return True
    licence = submission.card.get("licence")
    if licence and licence != listing.licence:
        return True
    before = listing.submissions.filter(status=SubmissionStatus.PUBLISHED).order_by("-decided_at").first()
    agreed_at = before.decided_at if before and before.decided_at else listing.published_at
    agreed = listing.prices.filter(starts_at__lte=agreed_at).order_by("-starts_at", "-id").first()
    return _terms(agreed) != _terms(listing.prices.current().first())


def _terms(price: Price | None) -> tuple[bool, int]:
    return (price.derivatives_allowed, price.royalty_ppm) if price else (False, 0)
