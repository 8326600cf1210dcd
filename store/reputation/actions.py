"""What people do to a listing's reputation: reviews, replies, reports, favourites."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from store.accounts.models import Membership, Role, User
from store.catalog.models import Listing
from store.discovery.actions import lock_standing, record_rating
from store.errors import NotFound
from store.reputation.customers import paying_organization
from store.reputation.errors import InvalidReview, MayNotReply, NotACustomer, NotAModerator, ReviewHidden
from store.reputation.models import Favourite, Review, ReviewReply, ReviewReport
from store.reputation.rating import rating_of

REPLYING_ROLES = (Role.OWNER, Role.ADMIN, Role.DEVELOPER)
TEXT_CHARS, REPORT_CHARS, REASON_CHARS = 4000, 1000, 500


@transaction.atomic
def write_review(*, listing: Listing, user: User, stars: int, text: str = "") -> Review:
    """Writes the user's review of the listing, or edits the one that is there. Raises NotACustomer, InvalidReview, ReviewHidden."""
    organization = paying_organization(listing=listing, user=user)
    if organization is None:
        raise NotACustomer
    if isinstance(stars, bool) or stars not in range(1, 6):
        raise InvalidReview(param="stars")
    words = _checked(text, TEXT_CHARS)
    review = Review.objects.select_for_update(of=("self",)).filter(listing=listing, user=user).first()
    if review and review.hidden_at:
        raise ReviewHidden
    if review is None:
        review, is_new = Review.objects.get_or_create(
            listing=listing, user=user, defaults={"organization": organization, "stars": stars, "text": words}
        )
    else:
        is_new = False
    if not is_new:
        Review.objects.filter(pk=review.pk).update(stars=stars, text=words, edited_at=timezone.now())
        review.refresh_from_db()
    _rate(listing.pk)
    return review


@transaction.atomic
def delete_review(*, review: Review, user: User) -> None:
    """Takes back one's own review, with its reply and reports. Raises NotFound for another's."""
    if review.user_id != user.pk:
        raise NotFound
    Review.objects.filter(pk=review.pk).delete()
    _rate(review.listing_id)


@transaction.atomic
def reply_review(*, review: Review, user: User, text: str) -> ReviewReply:
    """The provider's answer; a second one replaces the first. Raises MayNotReply, InvalidReview, ReviewHidden."""
    if not Membership.objects.filter(
        organization=review.listing.organization_id, user=user, role__in=REPLYING_ROLES
    ).exists():
        raise MayNotReply
    if Review.objects.filter(pk=review.pk, hidden_at__isnull=False).exists():
        raise ReviewHidden
    words = _checked(text, TEXT_CHARS)
    if not words:
        raise InvalidReview("A reply needs words.", param="text")
    reply, _is_new = ReviewReply.objects.update_or_create(
        review=review,
        defaults={"user": user, "text": words, "edited_at": timezone.now()},
        create_defaults={"user": user, "text": words},
    )
    return reply


@transaction.atomic
def hide_review(*, review: Review, moderator: User, reason: str) -> None:
    """Takes a review from the page and out of the rating, and closes its reports. Raises NotAModerator, InvalidReview."""
    _check_moderator(moderator)
    reason = _checked(reason, REASON_CHARS)
    if not reason:
        raise InvalidReview("Hiding a review needs a reason.", param="reason")
    now = timezone.now()
    Review.objects.filter(pk=review.pk, hidden_at=None).update(hidden_at=now, hidden_by=moderator, hidden_reason=reason)
    ReviewReport.objects.filter(review=review, resolved_at=None).update(resolved_at=now)
    _rate(review.listing_id)


@transaction.atomic
def show_review(*, review: Review, moderator: User) -> None:
    """Brings a hidden review back, and closes the reports of one that is shown. Raises NotAModerator."""
    _check_moderator(moderator)
    Review.objects.filter(pk=review.pk).update(hidden_at=None, hidden_by=None, hidden_reason="")
    ReviewReport.objects.filter(review=review, resolved_at=None).update(resolved_at=timezone.now())
    _rate(review.listing_id)


@transaction.atomic
def report_review(*, review: Review, user: User, text: str) -> ReviewReport:
    """Asks the moderators to look; once for each person. Raises InvalidReview."""
    words = _checked(text, REPORT_CHARS)
    if not words:
        raise InvalidReview("Say what is wrong with it.", param="text")
    report, _is_new = ReviewReport.objects.get_or_create(review=review, user=user, defaults={"text": words})
    return report


def add_favourite(*, listing: Listing, user: User) -> None:
    """Marks the listing; marking it again changes nothing."""
    Favourite.objects.bulk_create([Favourite(listing=listing, user=user)], ignore_conflicts=True)


def remove_favourite(*, listing: Listing, user: User) -> None:
    """Unmarks it."""
    Favourite.objects.filter(listing=listing, user=user).delete()


def _checked(text: str, chars: int) -> str:
    words = text.replace("\0", "").strip()
    if len(words) > chars:
        raise InvalidReview(f"That is {len(words)} characters; {chars} are the most.", param="text")
    return words


def _check_moderator(user: User) -> None:
    if not (user.is_moderator or user.is_superuser):
        raise NotAModerator


def _rate(listing_id: int) -> None:
    """Under the lock of the listing's standing, so that of two reviews at once the second counts both."""
    lock_standing(listing_id)
    mean, count = rating_of(listing_id)
    record_rating(listing_id=listing_id, rating=mean, count=count)
