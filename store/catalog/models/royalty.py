"""What a model owes to the one that it was made from."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from store.catalog.models.listing import Listing
from store.catalog.models.price import Price


class RoyaltyTerm(models.Model):
    """The base's terms as they were when a release of the derivative was made from it. It never changes (a trigger refuses).

    ``inherited`` are the terms by which the base was made from its own base: a chain of older and older rows, which has an end.
    """

    derivative = models.ForeignKey(Listing, on_delete=models.PROTECT, related_name="royalty_terms")
    base = models.ForeignKey(Listing, on_delete=models.PROTECT, related_name="+")
    royalty_ppm = models.PositiveIntegerField(_("royalty"))  # of what calls of the derivative cost
    derivatives_allowed = models.BooleanField(_("fine-tunes may be sold"))
    price = models.ForeignKey(
        Price, null=True, on_delete=models.PROTECT, related_name="+"
    )  # that says so; null: none yet
    inherited = models.ForeignKey("self", null=True, on_delete=models.PROTECT, related_name="+")
    is_trained = models.BooleanField(default=False)  # here: whatever later cards say, the derivative owes it
    since = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(royalty_ppm__lte=1_000_000) & ~Q(derivative=models.F("base")), name="royalty_term_sane"
            )
        ]

    def __str__(self) -> str:
        return f"{self.derivative_id} owes {self.base_id} {self.royalty_ppm} ppm"
