"""The rating of a listing: a Bayesian mean, so that one friend with five stars does not outrank a hundred customers with 4.8."""

from __future__ import annotations

from django.db.models import Count, Sum

from store.reputation.models import Review

PRIOR_STARS = 3.5  # what is believed of a listing before the first review
PRIOR_REVIEWS = 5  # and how many reviews it takes to doubt that


def rating_of(listing_id: int) -> tuple[float, int]:
    """The mean and the number of the reviews that are shown. Without any, the mean is 0: nothing is known."""
    sums = Review.objects.shown().filter(listing=listing_id).aggregate(stars=Sum("stars", default=0), count=Count("pk"))
    return bayesian_mean(sums["stars"], sums["count"]), sums["count"]


def bayesian_mean(stars: int, count: int) -> float:
    """``stars`` is their sum over ``count`` reviews."""
    return (PRIOR_STARS * PRIOR_REVIEWS + stars) / (PRIOR_REVIEWS + count) if count else 0.0
