"""Monthly plans of listings, who has subscribed to them, and what each period paid for."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from store.accounts.models import Organization, User
from store.catalog.models import Listing
from store.ledger.models import SharesPlan


class PlanQuerySet(models.QuerySet["SubscriptionPlan"]):
    def offered(self) -> PlanQuerySet:
        """Those that can be subscribed to, the cheapest first."""
        return self.filter(retired_at=None).order_by("price_nano", "id")


class SubscriptionPlan(models.Model):
    """What a month costs, and which tokens are in it: so many of any class, or so many of each. It never changes, and is retired at most once."""

    listing = models.ForeignKey(Listing, on_delete=models.PROTECT, related_name="plans")
    name = models.CharField(_("name"), max_length=60)
    price_nano = models.BigIntegerField(_("price a month"))
    included_tokens = models.BigIntegerField(null=True)  # of any class; null: by class
    included_input = models.BigIntegerField(null=True)
    included_output = models.BigIntegerField(null=True)
    created_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    retired_at = models.DateTimeField(null=True)  # nobody subscribes to it from then on; who has keeps it

    objects = PlanQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(price_nano__gt=0)
                & (
                    Q(included_tokens__gt=0, included_input=None, included_output=None)
                    | Q(included_tokens=None, included_input__gte=0, included_output__gte=0)
                    & (Q(included_input__gt=0) | Q(included_output__gt=0))
                ),
                name="subscription_plan_sane",
            )
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def tokens(self) -> int:
        """All included tokens of a month."""
        if self.included_tokens is not None:
            return self.included_tokens
        return (self.included_input or 0) + (self.included_output or 0)


class SubscriptionStatus(models.TextChoices):
    ACTIVE = "active", _("Active")
    PAST_DUE = "past_due", _("Not paid")  # its last period is over, and there was too little credit for another
    ENDED = "ended", _("Ended")


class EndReason(models.TextChoices):
    CANCELLED = "cancelled", _("Cancelled")
    UNPAID = "unpaid", _("There was not enough credit")
    UNAVAILABLE = "unavailable", _("The model cannot be called any more")


class SubscriptionQuerySet(models.QuerySet["Subscription"]):
    def visible_to(self, user: Any) -> SubscriptionQuerySet:
        """Those of the user's organizations."""
        return self.filter(organization__in=Organization.objects.visible_to(user))

    def living(self) -> SubscriptionQuerySet:
        return self.exclude(status=SubscriptionStatus.ENDED)


class Subscription(models.Model):
    """An organization has a plan of a listing, month by month. Changed under the lock of the organization's credit wallet."""

    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="subscriptions")
    listing = models.ForeignKey(Listing, on_delete=models.PROTECT, related_name="subscriptions")
    plan = models.ForeignKey(SubscriptionPlan, on_delete=models.PROTECT, related_name="+")
    next_plan = models.ForeignKey(  # from the next period on
        SubscriptionPlan, null=True, on_delete=models.PROTECT, related_name="+"
    )
    status = models.CharField(max_length=8, choices=SubscriptionStatus, default=SubscriptionStatus.ACTIVE)
    is_cancelled = models.BooleanField(default=False)  # it ends with its period
    anchor_at = (
        models.DateTimeField()
    )  # the start of the first period since it was last begun anew: its day is when months begin
    months = models.PositiveIntegerField(default=0)  # periods since then
    due_at = models.DateTimeField(null=True)  # when the next period is to be paid, or it ends; null: it has ended
    attempts = models.PositiveSmallIntegerField(default=0)  # in vain, to pay the next period
    end_reason = models.CharField(max_length=11, choices=EndReason, blank=True)
    created_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    ended_at = models.DateTimeField(null=True)

    objects = SubscriptionQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "listing"], condition=~Q(status="ended"), name="subscription_once"
            ),
            models.CheckConstraint(
                condition=Q(status="ended", due_at=None, ended_at__isnull=False)
                | (~Q(status="ended") & Q(due_at__isnull=False, ended_at=None)),
                name="subscription_is_due_or_ended",
            ),
        ]
        indexes = [models.Index(fields=["due_at"], condition=~Q(status="ended"), name="subscription_due")]

    def __str__(self) -> str:
        return f"{self.organization_id} to {self.listing_id}"

    @property
    def period(self) -> SubscriptionPeriod:
        """The newest: the current one while it is active."""
        return self.periods.latest("id")


class SubscriptionPeriod(models.Model):
    """A month that was paid, and what was used of its tokens, by runs that are open too. Its transfers' keys begin with ``subscription:<id>:``."""

    subscription = models.ForeignKey(Subscription, on_delete=models.PROTECT, related_name="periods")
    # Of the subscription; here, so that the runs of a batch find theirs by one index.
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, db_index=False, related_name="+")
    listing = models.ForeignKey(Listing, on_delete=models.PROTECT, db_index=False, related_name="+")
    plan = models.ForeignKey(SubscriptionPlan, on_delete=models.PROTECT, related_name="+")
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()  # sooner where another period or the end of the subscription cut it short
    credit_nano = models.BigIntegerField(default=0)  # of the price: what was left of the period that this one cut short
    charge_nano = models.BigIntegerField()
    commission_ppm = models.PositiveIntegerField()  # at the payment
    shares = models.ForeignKey(SharesPlan, null=True, on_delete=models.PROTECT, related_name="+")  # null: as of a run
    used_input = models.BigIntegerField(default=0)
    used_output = models.BigIntegerField(default=0)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(used_input__gte=0, used_output__gte=0, charge_nano__gte=0, credit_nano__gte=0)
                & Q(ends_at__gte=F("starts_at")),
                name="subscription_period_sane",
            )
        ]
        indexes = [models.Index(fields=["organization", "listing", "-starts_at"], name="subscription_period_current")]

    def __str__(self) -> str:
        return f"{self.subscription_id} from {self.starts_at}"

    @property
    def used(self) -> int:
        """Tokens of all classes, those that open runs may need among them."""
        return self.used_input + self.used_output

    def is_current(self, at: datetime) -> bool:
        return self.starts_at <= at < self.ends_at
