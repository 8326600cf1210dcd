"""What Stripe has told, and what of it was not as it should be."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from store.accounts.models import User
from store.billing.models.topups import Topup


class StripeEvent(models.Model):
    """The inbox: what Stripe has told, once each, and whether it has been acted on."""

    id = models.CharField(primary_key=True, max_length=100)
    type = models.CharField(max_length=100)
    payload = models.JSONField()
    received_at = models.DateTimeField(db_default=Now(), editable=False)
    due_at = models.DateTimeField(db_default=Now())
    attempts = models.PositiveIntegerField(default=0)
    processed_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = _("Stripe event")
        verbose_name_plural = _("Stripe events")
        indexes = [models.Index(fields=["due_at"], condition=Q(processed_at=None), name="stripe_event_due")]

    def __str__(self) -> str:
        return f"{self.id} {self.type}"


class QuarantineReason(models.TextChoices):
    UNKNOWN = "unknown", _("No top-up asked for this payment")
    UNPAID = "unpaid", _("Completed, and not paid")
    AMOUNT = "amount", _("Another amount")
    CURRENCY = "currency", _("Another currency")
    MODE = "mode", _("Test in place of live, or live in place of test")
    ACCOUNT = "account", _("Another account or customer")
    SECOND = "second", _("A second payment for one top-up")
    SHORTFALL = "shortfall", _("Credit that was spent already went back: the platform bore it")


class Quarantine(models.Model):
    """What came from Stripe and is not as it was asked for: it has moved no credit, or more than there was.

    A person looks at it, and writes down once what was done about it; the row changes in nothing else.
    """

    object_id = models.CharField(max_length=100)
    reason = models.CharField(max_length=10, choices=QuarantineReason)
    topup = models.ForeignKey(Topup, null=True, on_delete=models.PROTECT, related_name="quarantines")
    expected = models.CharField(max_length=200)
    found = models.CharField(max_length=200)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    resolution = models.TextField(_("what was done"), blank=True, max_length=2000)
    resolved_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    resolved_at = models.DateTimeField(null=True)

    class Meta:
        permissions = [("resolve_quarantine", "Can write down what was done about one")]
        constraints = [
            models.UniqueConstraint(fields=["object_id", "reason"], name="quarantine_once"),
            models.CheckConstraint(
                condition=Q(resolution="", resolved_by=None, resolved_at=None)
                | ~Q(resolution="") & Q(resolved_by__isnull=False, resolved_at__isnull=False),
                name="quarantine_resolved_by_somebody",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.object_id}: {self.reason}"
