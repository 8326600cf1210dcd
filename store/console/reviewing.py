"""The reviews of a listing as its pages show them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from django.db.models import Count, QuerySet

from store.catalog.models import Listing
from store.console.product import is_member
from store.reputation.actions import REPLYING_ROLES
from store.reputation.models import Review, ReviewReport

PER_PAGE = 20
NEWEST_SHOWN = 3  # on the listing's own page
STARS = (5, 4, 3, 2, 1)


class StarLine(NamedTuple):
    stars: int
    reviews: int


@dataclass(frozen=True, slots=True)
class ReviewPage:
    """``older`` is the id before which the next page begins, None on the last."""

    reviews: Sequence[Review]
    older: int | None


@dataclass(frozen=True, slots=True)
class Rights:
    """What the visitor may do with reviews of a listing."""

    may_reply: bool
    may_moderate: bool


def rights_of(user: Any, listing: Listing) -> Rights:
    members = listing.organization.memberships.filter(role__in=REPLYING_ROLES)
    may_reply = user.is_authenticated and is_member(user, listing) and members.filter(user=user).exists()
    return Rights(may_reply, may_moderate(user))


def may_moderate(user: Any) -> bool:
    return bool(user.is_authenticated and (user.is_moderator or user.is_superuser))


def open_reports() -> QuerySet[ReviewReport]:
    """Reports of reviews that no moderator has looked at, the oldest first; no more than fit a page."""
    related = ("review__listing__organization", "review__organization", "review__user", "user")
    return ReviewReport.objects.filter(resolved_at=None).select_related(*related).order_by("id")[:PER_PAGE]


def reviews_of(user: Any, listing: Listing) -> QuerySet[Review]:
    """Newest first, with author and reply; moderators see the hidden ones, too."""
    found = (
        Review.objects.filter(listing=listing)
        if rights_of(user, listing).may_moderate
        else Review.objects.visible_to(user).filter(listing=listing)
    )
    return found.select_related("user", "organization", "reply").order_by("-id")


def review_page(user: Any, listing: Listing, *, before: int | None) -> ReviewPage:
    found = reviews_of(user, listing)
    rows = list((found.filter(id__lt=before) if before else found)[: PER_PAGE + 1])
    return ReviewPage(rows[:PER_PAGE], rows[PER_PAGE - 1].pk if len(rows) > PER_PAGE else None)


def spread_of(listing: Listing) -> list[StarLine]:
    """How many gave how many stars, the most stars first."""
    counted = Review.objects.shown().filter(listing=listing).order_by().values_list("stars").annotate(Count("pk"))
    counts: dict[int, int] = dict(counted)
    return [StarLine(stars, counts.get(stars, 0)) for stars in STARS]
