"""Money: wallets, transfers between them, holds on them. Amounts are integers of nano-dollars (1e-9 USD).

The database itself keeps the laws (see ``migrations/0002_laws.py``): a trigger moves ``posted_nano`` when transfers are inserted and
``held_nano`` when holds are inserted or resolved, and refuses any other change of either; transfers cannot be changed or deleted;
a hold is resolved once. Writes go through ``ledger.actions``.
"""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import BrinIndex
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from store.accounts.models import Organization


class WalletKind(models.TextChoices):
    CREDIT = "credit", _("Credit")  # what an organization can spend: never below zero
    DISPUTED = "disputed", _("Disputed")  # what a customer's bank has taken back for now
    EARNINGS = "earnings", _("Earnings")  # what a provider has earned, and was not paid yet: never below zero
    IN_FLIGHT = "in_flight", _("In flight")  # payouts that a provider has asked for, and that have not arrived
    PLATFORM = "platform", _("Platform")  # what the store has earned
    TAX = "tax", _("Tax")  # what customers paid of it, and the store owes to its tax offices
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
    # All that ever came in. A payout that came back does not count again, and what was clawed back is taken off (see ledger.earnings).
    credited_nano = models.BigIntegerField(_("credited"), default=0, db_default=0, editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization", "kind"], name="wallet_once"),
            models.UniqueConstraint(fields=["kind"], condition=Q(organization=None), name="wallet_of_the_store_once"),
            models.CheckConstraint(condition=Q(held_nano__gte=0), name="wallet_held_not_negative"),
            models.CheckConstraint(
                condition=~Q(kind="credit") | Q(posted_nano__gte=F("held_nano")), name="wallet_credit_not_negative"
            ),
            models.CheckConstraint(
                condition=~Q(kind__in=("earnings", "in_flight")) | Q(posted_nano__gte=0),
                name="wallet_of_a_provider_not_negative",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.organization or 'store'}/{self.kind}"

    @property
    def available_nano(self) -> int:
        """What a new hold may take."""
        return self.posted_nano - self.held_nano


class EarningsMark(models.Model):
    """What had come into an earnings wallet at a moment: by it, all of that was there at ``at``. See ``ledger.earnings``."""

    wallet = models.ForeignKey(
        Wallet, on_delete=models.PROTECT, db_constraint=False, db_index=False, related_name="marks"
    )
    at = models.DateTimeField()
    credited_nano = models.BigIntegerField()

    class Meta:
        indexes = [models.Index(fields=["wallet", "-at"], name="earnings_mark_newest")]

    def __str__(self) -> str:
        return f"{self.credited_nano} in {self.wallet_id} at {self.at}"


class EarningsRelease(models.Model):
    """That of all that has come into an earnings wallet so much is available, whatever its age: somebody has let it go. It never changes."""

    wallet = models.ForeignKey(Wallet, on_delete=models.PROTECT, db_constraint=False, related_name="releases")
    credited_nano = models.BigIntegerField()
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    def __str__(self) -> str:
        return f"up to {self.credited_nano} in {self.wallet_id}"


class TransferKind(models.TextChoices):
    TOPUP = "topup", _("Top-up")
    USAGE = "usage", _("Usage")
    COMMISSION = "commission", _("Commission")
    ROYALTY = "royalty", _("Royalty")
    GRANT = "grant", _("Grant")
    REFUND = "refund", _("Refund")
    DISPUTE = "dispute", _("Dispute")
    PAYOUT = "payout", _("Payout")
    PAYOUT_FEE = "payout_fee", _("Fee of a payout")
    RETURN = "return", _("Payout returned")
    CLAWBACK = "clawback", _("Earnings taken back")
    TAX = "tax", _("Tax")
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
            BrinIndex(fields=["created_at"], name="transfer_when", autosummarize=True),  # rows come in order of time
        ]

    def __str__(self) -> str:
        return self.key


class SharesPlan(models.Model):
    """Who shares a charge, in which parts (see ``ledger.shares``): frozen when it was held. A content is one row, which never changes."""

    commission_ppm = models.PositiveIntegerField()  # of the charge
    # The nearest base first. No organization that a wallet belongs to is ever deleted, so the ids are good for ever.
    royalty_organizations = ArrayField(models.BigIntegerField(), default=list)
    royalty_ppms = ArrayField(models.PositiveIntegerField(), default=list)  # of the charge, in the same order
    cap_ppm = models.PositiveIntegerField()  # of what the commission leaves, for all royalties together
    rest = models.ForeignKey(
        Organization, on_delete=models.PROTECT, db_index=False, related_name="+"
    )  # has what is left
    rest_is_royalty = models.BooleanField(default=False)  # where the seller is who pays
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=[
                    "rest",
                    "royalty_organizations",
                    "royalty_ppms",
                    "commission_ppm",
                    "cap_ppm",
                    "rest_is_royalty",
                ],
                name="shares_plan_once",
            ),
            models.CheckConstraint(
                condition=Q(royalty_organizations__len=F("royalty_ppms__len"))
                & Q(commission_ppm__lte=1_000_000, cap_ppm__lte=1_000_000),
                name="shares_plan_sane",
            ),
        ]

    def __str__(self) -> str:
        owed = zip(self.royalty_organizations, self.royalty_ppms, strict=True)
        return f"{self.commission_ppm} to the store, {', '.join(f'{ppm} to {one}' for one, ppm in owed)}, the rest to {self.rest_id}"


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


class Frozen(models.TextChoices):
    SPENDING = "spending", _("Spending")  # nothing new is held on its credit
    PAYOUTS = "payouts", _("Payouts")  # nothing of its earnings is paid out


class FreezeQuerySet(models.QuerySet["Freeze"]):
    def current(self) -> FreezeQuerySet:
        """Those that nobody has lifted."""
        return self.filter(lifted_at=None)


class Freeze(models.Model):
    """What an organization may not do with its money until somebody lifts it. Set and lifted by ``ledger.freezing`` only."""

    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="freezes")
    what = models.CharField(max_length=8, choices=Frozen)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    lifted_at = models.DateTimeField(null=True)

    objects = FreezeQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization", "what"], condition=Q(lifted_at=None), name="freeze_once")
        ]

    def __str__(self) -> str:
        return f"{self.what} of {self.organization_id}"
