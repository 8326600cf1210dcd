"""Prices over time, which never change."""

from __future__ import annotations

from datetime import datetime

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from store.accounts.models import User
from store.catalog.models.listing import Listing

TERMS = (
    "input_nano", "cached_input_nano", "output_nano", "request_nano", "training_nano", "free_nano", "derivatives_allowed", "royalty_ppm",
)  # fmt: skip


class PriceQuerySet(models.QuerySet["Price"]):
    def scheduled(self) -> PriceQuerySet:
        """Prices that have not started, the next one first; of those that start together, the last row counts.

        A scheduled price is taken back by a row that starts together with it and says what was in force before.
        """
        return self.filter(starts_at__gt=Now()).order_by("starts_at", "id")

    def changes(self) -> list[Price]:
        """The changes of one listing's price that lie ahead, the next one first: without those that were taken back."""
        ahead: dict[datetime, Price] = {price.starts_at: price for price in self.scheduled()}
        before, changes = self.current().first(), []
        for price in ahead.values():
            if before is None or price.terms != before.terms:
                changes.append(price)
            before = price
        return changes

    def current(self) -> PriceQuerySet:
        """Prices that have started, newest first: the first of a listing is the one in force."""
        return self.filter(starts_at__lte=Now()).order_by("-starts_at", "-id")


class Price(models.Model):
    """What a listing costs from ``starts_at`` on, in nano-dollars per million tokens of a class, and per request."""

    listing = models.ForeignKey(Listing, on_delete=models.PROTECT, related_name="prices")
    input_nano = models.BigIntegerField(_("input"))
    cached_input_nano = models.BigIntegerField(_("cached input"))
    output_nano = models.BigIntegerField(_("output"))
    request_nano = models.BigIntegerField(_("per request"), default=0)
    training_nano = models.BigIntegerField(_("training"), default=0)  # per million tokens trained on it
    free_nano = models.BigIntegerField(
        _("free allowance"), default=0
    )  # worth of calls, a customer and calendar month (UTC)
    derivatives_allowed = models.BooleanField(_("fine-tunes may be sold"), default=False)
    royalty_ppm = models.PositiveIntegerField(
        _("royalty"), default=0
    )  # of what a derivative's calls cost, parts per million
    starts_at = models.DateTimeField(db_default=Now())
    created_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    objects = PriceQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(input_nano__gte=0, output_nano__gte=0, request_nano__gte=0, cached_input_nano__gte=0)
                & Q(training_nano__gte=0, free_nano__gte=0, royalty_ppm__lte=1_000_000)
                & Q(cached_input_nano__lte=F("input_nano")),
                name="price_sane",
            )
        ]
        indexes = [models.Index(fields=["listing", "-starts_at"], name="price_current")]

    def __str__(self) -> str:
        return f"{self.listing_id} from {self.starts_at}"

    @property
    def terms(self) -> tuple[int, ...]:
        """Everything that a customer is told of it, but when it starts."""
        return tuple(getattr(self, name) for name in TERMS)


class PriceAnnouncement(models.Model):
    """The holders of keys are told of a scheduled price, once. The row is the outbox: ``sent_at`` is null while that is due."""

    price = models.OneToOneField(Price, primary_key=True, on_delete=models.PROTECT, related_name="announcement")
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    sent_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.price_id} announced"
