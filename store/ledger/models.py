"""Money: wallets, transfers between them, holds on them. Amounts are integers of nano-dollars (1e-9 USD).

The database itself keeps the laws (see ``migrations/0002_laws.py``): a trigger moves ``posted_nano`` when transfers are inserted and
``held_nano`` when holds are inserted or resolved, and refuses any other change of either; transfers cannot be changed or deleted;
a hold is resolved once. Writes go through ``ledger.actions``.
"""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from store.accounts.models import Organization


class WalletKind(models.TextChoices):
    CREDIT = "credit", _("Credit")  # what an organization can spend: never below zero
    EARNINGS = "earnings", _("Earnings")  # what a provider has earned
    PLATFORM = "platform", _("Platform")  # what the store has earned
    BANK = "bank", _("Bank")  # the outside world: money that came in is negative here
    TEST_BANK = "test_bank", _("Test bank")  # the same, for money that does not exist


class Wallet(models.Model):
    """A balance that is a cache of the sum of its transfers."""

    organization = models.ForeignKey(
        Organization, null=True, blank=True, on_delete=models.PROTECT, related_name="wallets"
    )
    kind = models.CharField(max_length=10, choices=WalletKind)
    posted_nano = models.BigIntegerField(_("posted"), default=0, editable=False)
    held_nano = models.BigIntegerField(_("held"), default=0, editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization", "kind"], name="wallet_once"),
            models.UniqueConstraint(fields=["kind"], condition=Q(organization=None), name="wallet_of_the_store_once"),
            models.CheckConstraint(condition=Q(held_nano__gte=0), name="wallet_held_not_negative"),
            models.CheckConstraint(
                condition=~Q(kind="credit") | Q(posted_nano__gte=F("held_nano")), name="wallet_credit_not_negative"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.organization or 'store'}/{self.kind}"

    @property
    def available_nano(self) -> int:
        """What a new hold may take."""
        return self.posted_nano - self.held_nano


class TransferKind(models.TextChoices):
    TOPUP = "topup", _("Top-up")
    USAGE = "usage", _("Usage")
    COMMISSION = "commission", _("Commission")
    ROYALTY = "royalty", _("Royalty")
    GRANT = "grant", _("Grant")
    CORRECTION = "correction", _("Correction")


class Transfer(models.Model):
    """Money moved from ``debit`` to ``credit``, once for each ``key``, for ever."""

    key = models.CharField(max_length=120, unique=True)
    # The trigger that moves the money refuses a wallet that is not there, and no wallet is ever deleted: a constraint adds nothing.
    debit = models.ForeignKey(
        Wallet, on_delete=models.PROTECT, db_constraint=False, db_index=False, related_name="debits"
    )
    credit = models.ForeignKey(
        Wallet, on_delete=models.PROTECT, db_constraint=False, db_index=False, related_name="credits"
    )
    amount_nano = models.BigIntegerField()
    kind = models.CharField(max_length=12, choices=TransferKind)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(amount_nano__gt=0), name="transfer_amount_positive"),
            models.CheckConstraint(condition=~Q(debit=F("credit")), name="transfer_between_two"),
        ]
        indexes = [
            models.Index(fields=["debit", "-id"], name="transfer_of_debit"),
            models.Index(fields=["credit", "-id"], name="transfer_of_credit"),
        ]

    def __str__(self) -> str:
        return self.key


class HoldStatus(models.TextChoices):
    OPEN = "open", _("Open")
    CAPTURED = "captured", _("Captured")
    VOIDED = "voided", _("Voided")
    EXPIRED = "expired", _("Expired")


class Hold(models.Model):
    """Money set aside on a wallet for something that may cost up to ``amount_nano``. Resolved exactly once."""

    id = models.UUIDField(primary_key=True)
    wallet = models.ForeignKey(  # the trigger that takes the money refuses a wallet that is not there
        Wallet, on_delete=models.PROTECT, db_constraint=False, db_index=False, related_name="holds"
    )
    amount_nano = models.BigIntegerField()
    captured_nano = models.BigIntegerField(default=0)
    status = models.CharField(max_length=8, choices=HoldStatus, default=HoldStatus.OPEN)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    expires_at = models.DateTimeField()
    resolved_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(amount_nano__gte=0), name="hold_amount_not_negative"),
            models.CheckConstraint(
                condition=Q(captured_nano__gte=0, captured_nano__lte=F("amount_nano")),
                name="hold_captures_at_most_itself",
            ),
            models.CheckConstraint(condition=Q(status="captured") | Q(captured_nano=0), name="hold_captured_says_so"),
            models.CheckConstraint(
                condition=Q(status="open", resolved_at=None) | (~Q(status="open") & Q(resolved_at__isnull=False)),
                name="hold_resolved_says_when",
            ),
        ]
        indexes = [models.Index(fields=["expires_at"], condition=Q(status="open"), name="hold_open_expiry")]

    def __str__(self) -> str:
        return str(self.id)
