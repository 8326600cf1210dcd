"""Credit that is bought, and who buys it as Stripe knows them."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from store.accounts.models import Organization, User


class TopupMode(models.TextChoices):
    TEST = "test", _("Test money")
    LIVE = "live", _("Live")


class TopupStatus(models.TextChoices):
    PENDING = "pending", _("Waiting for the payment")
    PAID = "paid", _("Paid")
    EXPIRED = "expired", _("Expired")
    DECLINED = "declined", _("Declined")


class Topup(models.Model):
    """Credit that an organization bought. Once it is paid, its transfer's key is ``topup:<id>``, and that of its tax ``topup:<id>:tax``."""

    id = models.UUIDField(primary_key=True)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="topups")
    amount_nano = models.BigIntegerField()
    is_automatic = models.BooleanField(default=False)  # paid with the saved card, below the threshold
    tax_nano = models.BigIntegerField(default=0)  # paid besides, once it is known; it is no credit
    buyer = models.JSONField(null=True)  # who paid, as they told on Stripe's page: what stands on the receipt
    mode = models.CharField(max_length=4, choices=TopupMode)
    status = models.CharField(max_length=8, choices=TopupStatus, default=TopupStatus.PAID)
    # Stripe's ids; none for test money that was given, and none of a payment before it is made.
    checkout_session = models.CharField(max_length=100, null=True, unique=True)  # noqa: DJ001 - unique where there is one
    payment_intent = models.CharField(max_length=100, null=True, unique=True)  # noqa: DJ001
    created_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        verbose_name = _("top-up")
        verbose_name_plural = _("top-ups")
        constraints = [
            models.CheckConstraint(condition=Q(amount_nano__gt=0), name="topup_positive"),
            models.CheckConstraint(condition=Q(tax_nano__gte=0), name="topup_tax_not_negative"),
        ]

    def __str__(self) -> str:
        return str(self.id)

    @property
    def paid_nano(self) -> int:
        """What was asked for: credit and tax."""
        return self.amount_nano + self.tax_nano


class Place(models.TextChoices):
    SANDBOX = "sandbox", _("Sandbox")
    TEST = "test", _("Stripe, test keys")
    LIVE = "live", _("Stripe, live")


class Customer(models.Model):
    """An organization as Stripe knows it, by ``place``: what one has made, the others have never heard of."""

    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="stripe_customers")
    place = models.CharField(max_length=7, choices=Place)
    key = models.UUIDField(unique=True)  # Stripe makes one customer for it
    stripe_id = models.CharField(max_length=100, null=True, unique=True)  # noqa: DJ001
    details_version = models.PositiveIntegerField(default=0)  # of the billing details that Stripe was told

    class Meta:
        constraints = [models.UniqueConstraint(fields=["organization", "place"], name="customer_once_at_each_place")]

    def __str__(self) -> str:
        return self.stripe_id or f"none yet for {self.organization_id}"
