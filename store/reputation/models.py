"""What use and customers say of a listing: figures by the hour, who came back, reviews, favourites.

``ListingHour``, ``RoyaltyHour`` and ``PaidDay`` are made from runs and can be made again from them (``rollup.roll_up``).
"""

from __future__ import annotations

from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from store.accounts.models import Organization, User
from store.catalog.models import Listing


class ListingHour(models.Model):
    """The runs of a listing that were opened in an hour (UTC) and have ended.

    Histograms count runs in the buckets of ``store.reputation.histogram``.
    """

    listing = models.ForeignKey(Listing, on_delete=models.CASCADE, db_index=False, related_name="hours")
    hour = models.DateTimeField()  # its begin
    calls = models.BigIntegerField()  # all of them: succeeded, cancelled by the client, failed
    failed = models.BigIntegerField()  # by our fault
    paid_calls = models.BigIntegerField()  # that cost something
    prompt_tokens = models.BigIntegerField()  # of calls that were charged or made a token
    cached_tokens = models.BigIntegerField()  # of these
    output_tokens = models.BigIntegerField()
    charge_nano = models.BigIntegerField()  # what customers paid
    provider_nano = models.BigIntegerField()  # the provider's share of it
    royalty_nano = models.BigIntegerField(default=0)  # what went to those whose models it was made from
    first_token_ms = ArrayField(models.BigIntegerField())  # histogram of milliseconds
    tokens_per_s = ArrayField(models.BigIntegerField())  # histogram of output tokens per second after the first

    class Meta:
        constraints = [models.UniqueConstraint(fields=["listing", "hour"], name="listing_hour_once")]
        # Rows are long, with their histograms: what all models cost in a year is read from the index alone.
        indexes = [models.Index(fields=["hour"], include=["listing", "charge_nano"], name="listing_hour_cost")]

    def __str__(self) -> str:
        return f"{self.listing_id} at {self.hour}"


class RoyaltyHour(models.Model):
    """What an organization earned by the runs of a listing that was made from a model of its own, opened in an hour (UTC)."""

    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, db_index=False, related_name="+")
    listing = models.ForeignKey(Listing, on_delete=models.CASCADE, db_index=False, related_name="+")
    hour = models.DateTimeField()  # its begin
    calls = models.BigIntegerField()  # that brought something
    royalty_nano = models.BigIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["organization", "hour", "listing"], name="royalty_hour_once")]
        indexes = [models.Index(fields=["hour"], name="royalty_hour_time")]

    def __str__(self) -> str:
        return f"{self.organization_id} by {self.listing_id} at {self.hour}"


class PaidDay(models.Model):
    """An organization paid for at least one call of a listing on this day (UTC)."""

    listing = models.ForeignKey(Listing, on_delete=models.CASCADE, db_index=False, related_name="+")
    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, db_index=False, related_name="+")
    day = models.DateField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["listing", "organization", "day"], name="paid_day_once")]
        indexes = [models.Index(fields=["day"], name="paid_day_time")]

    def __str__(self) -> str:
        return f"{self.organization_id} paid for {self.listing_id} on {self.day}"


class ReviewQuerySet(models.QuerySet["Review"]):
    def shown(self) -> ReviewQuerySet:
        """Those that no moderator has hidden."""
        return self.filter(hidden_at=None)

    def visible_to(self, user: Any) -> ReviewQuerySet:
        """Shown reviews of listings that the user can see, and the user's own."""
        listings = Listing.objects.visible_to(user)
        own = Q(user_id=user.pk) if user.is_authenticated else Q()
        shown = Q(hidden_at=None)
        return self.filter(shown | own if user.is_authenticated else shown, listing__in=listings)


class Review(models.Model):
    """The word of somebody whose organization paid for calls. One for each person and listing."""

    listing = models.ForeignKey(Listing, on_delete=models.CASCADE, related_name="reviews")
    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="+")  # that paid
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="reviews")
    stars = models.PositiveSmallIntegerField(_("stars"), validators=[MinValueValidator(1), MaxValueValidator(5)])
    text = models.TextField(_("text"), max_length=4000, blank=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    edited_at = models.DateTimeField(null=True, editable=False)
    hidden_at = models.DateTimeField(null=True, editable=False)
    hidden_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+", editable=False)
    hidden_reason = models.CharField(max_length=500, blank=True, editable=False)

    objects = ReviewQuerySet.as_manager()

    class Meta:
        verbose_name = _("review")
        verbose_name_plural = _("reviews")
        constraints = [
            models.UniqueConstraint(fields=["listing", "user"], name="review_once"),
            models.CheckConstraint(condition=Q(stars__gte=1, stars__lte=5), name="review_stars"),
        ]
        indexes = [models.Index(fields=["listing", "-id"], name="review_newest")]

    def __str__(self) -> str:
        return f"{self.stars} for {self.listing_id} by {self.user_id}"


class ReviewReply(models.Model):
    """The provider's answer to a review."""

    review = models.OneToOneField(Review, primary_key=True, on_delete=models.CASCADE, related_name="reply")
    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    text = models.TextField(_("text"), max_length=4000)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    edited_at = models.DateTimeField(null=True, editable=False)

    def __str__(self) -> str:
        return f"reply to {self.review_id}"


class ReviewReport(models.Model):
    """Somebody finds that a review does not belong here. It waits for a moderator until ``resolved_at``."""

    review = models.ForeignKey(Review, on_delete=models.CASCADE, related_name="reports")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    text = models.CharField(_("what is wrong"), max_length=1000)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    resolved_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["review", "user"], name="review_report_once")]
        indexes = [models.Index(fields=["id"], condition=Q(resolved_at=None), name="review_report_open")]

    def __str__(self) -> str:
        return f"report of {self.review_id}"


class FavouriteQuerySet(models.QuerySet["Favourite"]):
    def of(self, user: Any) -> FavouriteQuerySet:
        """What the user marked and can still see, newest first."""
        if not user.is_authenticated:
            return self.none()
        return self.filter(user=user, listing__in=Listing.objects.visible_to(user)).order_by("-id")


class Favourite(models.Model):
    """A listing that a person wants to find again."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="favourites")
    listing = models.ForeignKey(Listing, on_delete=models.CASCADE, related_name="favourites")
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    objects = FavouriteQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "listing"], name="favourite_once")]

    def __str__(self) -> str:
        return f"{self.user_id} likes {self.listing_id}"
