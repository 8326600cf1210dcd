"""Earnings on their way to a provider's bank. Amounts are nano-dollars, but for what a bank was sent, which is in the account's currency."""

from __future__ import annotations

from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from store.accounts.models import Organization, Role, User
from store.billing.models import Place

CASHIERS = (Role.OWNER, Role.ADMIN, Role.BILLING)  # who may see and move what an organization has earned


class AccountState(models.TextChoices):
    """What can be done with an account at Stripe."""

    INCOMPLETE = "incomplete", _("Not finished")  # Stripe's page was not filled in, or only in part
    CHECKING = "checking", _("Being checked by Stripe")
    RESTRICTED = "restricted", _("Stripe needs more")  # it pays nothing out until requirements are met
    REJECTED = "rejected", _("Rejected by Stripe")
    ACTIVE = "active", _("Ready")


class ConnectAccount(models.Model):
    """An organization as Stripe pays it, by ``place``: what one has made, the others have never heard of."""

    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="connect_accounts")
    place = models.CharField(max_length=7, choices=Place)
    key = models.UUIDField(unique=True)  # Stripe makes one account for it
    stripe_id = models.CharField(max_length=100, null=True, unique=True)  # noqa: DJ001 - unique where there is one
    state = models.CharField(max_length=10, choices=AccountState, default=AccountState.INCOMPLETE)
    requirements = ArrayField(models.CharField(max_length=200), default=list)  # what is due now, in Stripe's names
    disabled_reason = models.CharField(max_length=100, blank=True)
    country = models.CharField(max_length=2, blank=True)
    currency = models.CharField(max_length=3, blank=True)  # of its bank account
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    looked_at = models.DateTimeField(null=True)  # when Stripe was asked last

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization", "place"], name="connect_account_once_at_each_place")
        ]

    def __str__(self) -> str:
        return self.stripe_id or f"none yet for {self.organization_id}"


class Interval(models.TextChoices):
    """How often a payout is asked for without anybody's doing."""

    MANUAL = "manual", _("Only when I ask for it")
    DAILY = "daily", _("Every day")
    WEEKLY = "weekly", _("Every Monday")
    MONTHLY = "monthly", _("On the first of each month")


class PayoutSchedule(models.Model):
    """When an organization is paid. Without a row: when it asks."""

    organization = models.OneToOneField(Organization, on_delete=models.PROTECT, related_name="payout_schedule")
    interval = models.CharField(max_length=7, choices=Interval, default=Interval.MANUAL)
    minimum_nano = models.BigIntegerField(default=0)  # less than this waits for the next time
    next_at = models.DateTimeField(null=True)
    skipped = models.CharField(max_length=300, blank=True)  # why nothing was paid the last time

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(minimum_nano__gte=0), name="payout_schedule_minimum"),
            models.CheckConstraint(
                condition=Q(interval="manual", next_at=None) | (~Q(interval="manual") & Q(next_at__isnull=False)),
                name="payout_schedule_says_when",
            ),
        ]
        indexes = [models.Index(fields=["next_at"], condition=Q(next_at__isnull=False), name="payout_schedule_due")]

    def __str__(self) -> str:
        return f"{self.organization_id}: {self.interval}"


class PayoutStatus(models.TextChoices):
    PENDING = "pending", _("Pending")  # can still be cancelled
    IN_FLIGHT = "in_flight", _("On its way")
    PAID = "paid", _("Paid")
    FAILED = "failed", _("Failed")  # Stripe or the bank did not take it
    REVERSED = "reversed", _("Reversed")  # it had been paid, or transferred, and came back
    CANCELLED = "cancelled", _("Cancelled")


OPEN = (PayoutStatus.PENDING, PayoutStatus.IN_FLIGHT)
ENDED_UNPAID = (PayoutStatus.FAILED, PayoutStatus.REVERSED, PayoutStatus.CANCELLED)
TRANSITIONS: dict[PayoutStatus, tuple[PayoutStatus, ...]] = {
    PayoutStatus.PENDING: (PayoutStatus.IN_FLIGHT, PayoutStatus.CANCELLED),
    PayoutStatus.IN_FLIGHT: (PayoutStatus.PAID, PayoutStatus.FAILED, PayoutStatus.REVERSED),
    PayoutStatus.PAID: (PayoutStatus.REVERSED,),
    PayoutStatus.FAILED: (),
    PayoutStatus.REVERSED: (),
    PayoutStatus.CANCELLED: (),
}


class Origin(models.TextChoices):
    ON_DEMAND = "on_demand", _("Asked for")
    SCHEDULED = "scheduled", _("By the schedule")
    STORE = "store", _("By the people who run the store")


class PayoutQuerySet(models.QuerySet["Payout"]):
    def visible_to(self, user: Any) -> PayoutQuerySet:
        """Those of the organizations whose money the user may see."""
        mine = Organization.objects.filter(memberships__user=user.pk, memberships__role__in=CASHIERS)
        return self.filter(organization__in=mine)


class Payout(models.Model):
    """Earnings that are paid out. Taken from the earnings wallet when it is asked for, by the transfer ``payout:<id>``.

    ``amount_nano`` = ``fee_nano`` + what is sent, which is whole cents. While it is open it is due at ``due_at``: whatever was lost on the
    way, somebody looks again then. A payout that was paid is looked at for some days more, for banks send money back.
    """

    id = models.UUIDField(primary_key=True)  # version 7: sorts by time
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="payouts")
    account = models.ForeignKey(ConnectAccount, on_delete=models.PROTECT, related_name="payouts")
    status = models.CharField(max_length=9, choices=PayoutStatus, default=PayoutStatus.PENDING)
    origin = models.CharField(max_length=9, choices=Origin, default=Origin.ON_DEMAND)
    amount_nano = models.BigIntegerField()  # what left the earnings
    fee_nano = models.BigIntegerField()  # of it, the store's
    available_nano = models.BigIntegerField()  # what could have been paid out when it was asked for
    # It pays earnings that became available since the payout before it: those that came in in this time. Null: from the first.
    earned_from = models.DateTimeField(null=True)
    earned_until = models.DateTimeField()
    # At Stripe: the transfer to the account, and the account's own payout to its bank, in the account's currency and smallest unit.
    stripe_transfer = models.CharField(max_length=100, null=True, unique=True)  # noqa: DJ001 - unique where there is one
    stripe_payout = models.CharField(max_length=100, null=True, unique=True)  # noqa: DJ001
    arrived_minor = models.BigIntegerField(null=True)
    arrived_currency = models.CharField(max_length=3, blank=True)
    failure_code = models.CharField(max_length=100, blank=True)
    failure_message = models.CharField(max_length=500, blank=True)
    trouble = models.CharField(max_length=300, blank=True)  # why it waits, for those who run the store
    retry_of = models.OneToOneField("self", null=True, on_delete=models.PROTECT, related_name="retried_by")
    created_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    sent_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    due_at = models.DateTimeField(null=True)
    attempts = models.PositiveIntegerField(default=0)

    objects = PayoutQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(fee_nano__gte=0, amount_nano__gt=F("fee_nano"), available_nano__gte=F("amount_nano")),
                name="payout_sane",
            ),
            models.CheckConstraint(
                condition=Q(status__in=("pending", "in_flight"), finished_at=None, due_at__isnull=False)
                | (~Q(status__in=("pending", "in_flight")) & Q(finished_at__isnull=False)),
                name="payout_open_is_due",
            ),
            # Two people who press at once: one asks for it, the other is told so.
            models.UniqueConstraint(fields=["organization"], condition=Q(status="pending"), name="payout_pending_once"),
        ]
        indexes = [
            models.Index(fields=["due_at"], condition=Q(due_at__isnull=False), name="payout_due"),
            models.Index(fields=["organization", "-id"], name="payout_of_organization"),
        ]

    def __str__(self) -> str:
        return str(self.id)

    @property
    def sent_nano(self) -> int:
        """What is sent to the account: whole cents."""
        return self.amount_nano - self.fee_nano

    @property
    def left_nano(self) -> int:
        """What stayed available when it was asked for."""
        return self.available_nano - self.amount_nano
