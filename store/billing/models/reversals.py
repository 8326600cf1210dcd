"""Money that goes back."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from store.accounts.models import User
from store.billing.models.topups import Topup


class Reversal(models.Model):
    """What a refund and a dispute have in common: an amount that goes back: its part of the tax, then out of credit, the rest borne by the platform."""

    id = models.CharField(primary_key=True, max_length=100)  # Stripe's
    topup = models.ForeignKey(Topup, on_delete=models.PROTECT, related_name="%(class)ss")
    amount_nano = models.BigIntegerField()
    from_credit_nano = models.BigIntegerField()
    tax_nano = models.BigIntegerField(default=0)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        abstract = True
        constraints = [
            models.CheckConstraint(
                condition=Q(amount_nano__gt=0, from_credit_nano__gte=0, tax_nano__gte=0)
                & Q(amount_nano__gte=F("from_credit_nano") + F("tax_nano")),
                name="%(class)s_sane",
            )
        ]

    def __str__(self) -> str:
        return self.id

    @property
    def from_platform_nano(self) -> int:
        """What was spent already."""
        return self.amount_nano - self.tax_nano - self.from_credit_nano


class Refund(Reversal):
    """Money that went back to a customer. Its transfers' keys begin with ``refund:<id>:``."""

    failed_at = models.DateTimeField(null=True)  # when the money came back


class RefundOrderStatus(models.TextChoices):
    WAITING = "waiting", _("On its way")
    DONE = "done", _("Given back")
    REFUSED = "refused", _("Refused by Stripe")


class RefundOrder(models.Model):
    """That money is to go back: its id is the key at Stripe, and that of the hold on what credit bears of it. The row is its own outbox."""

    id = models.UUIDField(primary_key=True)  # version 7: sorts by time
    topup = models.ForeignKey(Topup, on_delete=models.PROTECT, related_name="refund_orders")
    amount_nano = models.BigIntegerField()
    reason = models.CharField(_("reason"), max_length=200)
    of_spent = models.BooleanField(default=False)  # the platform bears what is spent already
    status = models.CharField(max_length=7, choices=RefundOrderStatus, default=RefundOrderStatus.WAITING)
    refund = models.OneToOneField(Refund, null=True, on_delete=models.PROTECT, related_name="order")
    error = models.CharField(max_length=200, blank=True)
    attempts = models.PositiveIntegerField(default=0)
    due_at = models.DateTimeField(db_default=Now())
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(amount_nano__gt=0), name="refund_order_positive")]
        indexes = [models.Index(fields=["due_at"], condition=Q(status="waiting"), name="refund_order_due")]

    def __str__(self) -> str:
        return str(self.id)


class DisputeStatus(models.TextChoices):
    OPEN = "open", _("Open")
    WON = "won", _("Won")
    LOST = "lost", _("Lost")


class Dispute(Reversal):
    """Money that a customer's bank took back: frozen while it decides. Its transfers' keys begin with ``dispute:<id>:``."""

    status = models.CharField(max_length=4, choices=DisputeStatus, default=DisputeStatus.OPEN)
    closed_at = models.DateTimeField(null=True)
