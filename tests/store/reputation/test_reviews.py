"""Reviews are of those who paid; the provider answers, a moderator hides; favourites are one's own."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import AnonymousUser
from django.utils import timezone

from store.accounts.models import Membership, Organization, Role, User
from store.catalog.models import Listing
from store.discovery.actions import refresh_stale
from store.discovery.models import ListingIndex, Standing
from store.errors import NotFound
from store.reputation.actions import (
    add_favourite,
    delete_review,
    hide_review,
    remove_favourite,
    reply_review,
    report_review,
    show_review,
    write_review,
)
from store.reputation.errors import InvalidReview, MayNotReply, NotACustomer, NotAModerator, ReviewHidden
from store.reputation.models import Favourite, PaidDay, Review, ReviewReport
from store.reputation.rating import PRIOR_REVIEWS, PRIOR_STARS
from tests.store.reputation.conftest import RunMaker

pytestmark = pytest.mark.django_db


@pytest.fixture
def review(past_run: RunMaker, listing: Listing, consumer: User) -> Review:
    """The consumer paid, and gives four stars."""
    past_run()
    return write_review(listing=listing, user=consumer, stars=4, text="  Good rhymes.\0 ")


def test_who_paid_can_review_once_and_edit(review: Review, listing: Listing, consumer: User) -> None:
    assert (review.stars, review.text, review.edited_at) == (4, "Good rhymes.", None)
    assert review.organization == consumer.personal_organization
    again = write_review(listing=listing, user=consumer, stars=2)
    assert (again.pk, again.stars, again.text) == (review.pk, 2, "")
    assert again.edited_at is not None
    assert Review.objects.count() == 1


def test_a_payment_of_long_ago_counts(listing: Listing, consumer: User) -> None:
    day = timezone.now().date() - timedelta(days=400)
    PaidDay.objects.create(listing=listing, organization=consumer.personal_organization, day=day)
    assert write_review(listing=listing, user=consumer, stars=5).stars == 5


def test_who_did_not_pay_cannot_review(past_run: RunMaker, listing: Listing, consumer: User, stranger: User) -> None:
    past_run(charge_nano=0)
    for user in (consumer, stranger):
        with pytest.raises(NotACustomer):
            write_review(listing=listing, user=user, stars=5)


def test_the_provider_and_whoever_shares_a_member_with_it_cannot_review(
    past_run: RunMaker, listing: Listing, provider: User, consumer: User
) -> None:
    past_run(by=provider.personal_organization)
    with pytest.raises(NotACustomer):
        write_review(listing=listing, user=provider, stars=5)
    past_run()
    Membership.objects.create(organization=provider.personal_organization, user=consumer, role=Role.VIEWER)
    with pytest.raises(NotACustomer):
        write_review(listing=listing, user=consumer, stars=5)


def test_members_of_a_paying_organization_have_a_review_each(
    past_run: RunMaker, listing: Listing, consumer: User, stranger: User
) -> None:
    team = Organization.objects.create(slug="team", name="Team")
    for user in (consumer, stranger):
        Membership.objects.create(organization=team, user=user, role=Role.VIEWER)
    past_run(by=team)
    for user in (consumer, stranger):
        assert write_review(listing=listing, user=user, stars=3).organization == team


@pytest.mark.parametrize("stars", [0, 6, -1, True, 10**18])
def test_stars_are_one_to_five(review: Review, consumer: User, stars: int) -> None:
    with pytest.raises(InvalidReview, match="stars"):
        write_review(listing=review.listing, user=consumer, stars=stars)


def test_a_text_that_is_too_long_is_refused(review: Review, consumer: User) -> None:
    with pytest.raises(InvalidReview, match="4000"):
        write_review(listing=review.listing, user=consumer, stars=1, text="x" * 4001)


def test_the_rating_is_a_bayesian_mean_and_is_in_the_index(review: Review, consumer: User) -> None:
    refresh_stale()
    row = ListingIndex.objects.get()
    assert row.rating == pytest.approx((PRIOR_STARS * PRIOR_REVIEWS + 4) / (PRIOR_REVIEWS + 1))
    assert row.rating_count == 1
    delete_review(review=review, user=consumer)
    assert (Standing.objects.get().rating, Standing.objects.get().rating_count) == (0, 0)


def test_another_persons_review_cannot_be_deleted(review: Review, stranger: User) -> None:
    with pytest.raises(NotFound):
        delete_review(review=review, user=stranger)


def test_the_provider_replies_and_nobody_else(review: Review, provider: User, stranger: User) -> None:
    reply_review(review=review, user=provider, text="Thank you.")
    reply = reply_review(review=review, user=provider, text="Thank you!")
    assert (reply.text, Review.objects.get().reply.text) == ("Thank you!", "Thank you!")
    assert reply.edited_at is not None
    with pytest.raises(InvalidReview):
        reply_review(review=review, user=provider, text="  ")
    viewer = Membership.objects.create(
        organization=provider.personal_organization, user=stranger, role=Role.VIEWER
    ).user
    for user in (review.user, viewer):
        with pytest.raises(MayNotReply):
            reply_review(review=review, user=user, text="No.")


def test_a_moderator_hides_and_shows(
    review: Review, moderator: User, stranger: User, consumer: User, provider: User
) -> None:
    report_review(review=review, user=stranger, text="Spam")
    report_review(review=review, user=stranger, text="Spam again")
    assert ReviewReport.objects.filter(resolved_at=None).count() == 1
    with pytest.raises(NotAModerator):
        hide_review(review=review, moderator=provider, reason="I do not like it")
    with pytest.raises(InvalidReview):
        hide_review(review=review, moderator=moderator, reason="")
    hide_review(review=review, moderator=moderator, reason="Spam")
    assert not ReviewReport.objects.filter(resolved_at=None).exists()
    assert Standing.objects.get().rating_count == 0
    assert not Review.objects.visible_to(stranger).exists()
    assert not Review.objects.visible_to(AnonymousUser()).exists()
    assert Review.objects.visible_to(consumer).exists()
    with pytest.raises(ReviewHidden):
        write_review(listing=review.listing, user=consumer, stars=1)
    with pytest.raises(ReviewHidden):
        reply_review(review=review, user=provider, text="Well")
    show_review(review=review, moderator=moderator)
    assert Standing.objects.get().rating_count == 1
    assert Review.objects.visible_to(AnonymousUser()).exists()


def test_reviews_of_a_private_listing_are_not_shown_to_strangers(review: Review, stranger: User) -> None:
    Listing.objects.update(is_private=True)
    assert not Review.objects.visible_to(stranger).exists()


def test_favourites_are_marked_once_and_seen_while_the_listing_is(listing: Listing, stranger: User) -> None:
    add_favourite(listing=listing, user=stranger)
    add_favourite(listing=listing, user=stranger)
    assert [one.listing for one in Favourite.objects.of(stranger)] == [listing]
    assert not Favourite.objects.of(AnonymousUser()).exists()
    Listing.objects.update(is_private=True)
    assert not Favourite.objects.of(stranger).exists()
    remove_favourite(listing=listing, user=stranger)
    assert not Favourite.objects.exists()
