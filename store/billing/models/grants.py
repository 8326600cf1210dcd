"""Credit that the store gives: grants, and the codes that they are had for."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from store.accounts.models import Organization, User
from store.billing.models.topups import Topup
from store.ledger.models import Wallet


class GrantSource(models.TextChoices):
    PROMO = "promo", _("Promo code")
    ADMIN = "admin", _("The store")
    SIGN_UP = "sign_up", _("Welcome")


class GrantQuerySet(models.QuerySet["Grant"]):
    def open(self) -> GrantQuerySet:
        """Those of which something is left, in the order in which they are spent."""
        return self.filter(ended_at=None).order_by("expires_at", "id")

    def visible_to(self, user: Any) -> GrantQuerySet:
        """The grants of the user's organizations."""
        return self.filter(organization__in=Organization.objects.visible_to(user))


class Grant(models.Model):
    """Credit that was given until a day, financed by the platform. Its transfers are ``grant:<id>`` and ``grant:<id>:back:<n>``.

    ``spent_nano`` and ``returned_nano`` are as of the last count (``grants.count``): what was spent since is derived from the ledger.
    """

    id = models.UUIDField(primary_key=True)  # version 7: sorts by time
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="grants")
    source = models.CharField(max_length=7, choices=GrantSource)
    reason = models.CharField(max_length=200)
    amount_nano = models.BigIntegerField()
    spent_nano = models.BigIntegerField(default=0)
    returned_nano = models.BigIntegerField(default=0)
    expires_at = models.DateTimeField()
    topup = models.ForeignKey(Topup, null=True, on_delete=models.PROTECT, related_name="grants")  # that it was added to
    created_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    warned_at = models.DateTimeField(null=True)  # when people were told that it ends soon
    ended_at = models.DateTimeField(null=True)  # when nothing was left of it

    objects = GrantQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(amount_nano__gt=0, spent_nano__gte=0, returned_nano__gte=0)
                & Q(amount_nano__gte=F("spent_nano") + F("returned_nano")),
                name="grant_sane",
            ),
            models.CheckConstraint(
                condition=Q(ended_at=None, amount_nano__gt=F("spent_nano") + F("returned_nano"))
                | Q(ended_at__isnull=False, amount_nano=F("spent_nano") + F("returned_nano")),
                name="grant_ends_when_nothing_is_left",
            ),
            models.UniqueConstraint(
                fields=["organization"], condition=Q(source="sign_up"), name="grant_of_a_sign_up_once"
            ),
        ]
        indexes = [
            models.Index(fields=["expires_at"], condition=Q(ended_at=None), name="grant_open"),
            models.Index(fields=["organization", "-id"], name="grant_of_organization"),
        ]

    def __str__(self) -> str:
        return str(self.id)

    @property
    def left_nano(self) -> int:
        """What is neither spent nor returned, as of the last count."""
        return self.amount_nano - self.spent_nano - self.returned_nano


class GrantTally(models.Model):
    """How far the spending of a credit wallet has been counted: transfers after ``since_id`` up to ``counted_id``.

    What they spent was granted (``granted_nano``) or the organization's own (``own_nano``). When nothing granted is left the count begins
    anew at the next grant, and what was counted before is in ``earlier_nano``. Changed under the lock of the wallet.
    """

    wallet = models.OneToOneField(Wallet, primary_key=True, on_delete=models.PROTECT, related_name="grant_tally")
    since_id = models.BigIntegerField()
    counted_id = models.BigIntegerField()
    granted_nano = models.BigIntegerField(default=0)
    own_nano = models.BigIntegerField(default=0)
    earlier_nano = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return f"wallet {self.wallet_id} up to {self.counted_id}"


class PromoCode(models.Model):
    """A word for which credit is given: ``amount_nano`` of it, or ``percent`` of the next top-up, ``most_nano`` at most."""

    code = models.CharField(_("code"), max_length=40, unique=True)  # in capitals
    amount_nano = models.BigIntegerField(null=True)
    percent = models.PositiveSmallIntegerField(_("percent of a top-up"), null=True)
    most_nano = models.BigIntegerField(null=True)
    lives_days = models.PositiveSmallIntegerField(_("days that the credit can be spent"), default=90)
    total_limit = models.PositiveIntegerField(_("redemptions in all"), null=True)
    organization_limit = models.PositiveSmallIntegerField(_("redemptions of one organization"), default=1)
    first_topup_only = models.BooleanField(_("with the first top-up only"), default=False)
    starts_at = models.DateTimeField(_("starts"), db_default=Now())
    ends_at = models.DateTimeField(_("ends"), null=True)
    redeemed = models.PositiveIntegerField(_("redeemed"), default=0)
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(amount_nano__gt=0, percent=None, most_nano=None)
                | Q(amount_nano=None, percent__gte=1, percent__lte=100),
                name="promo_code_amount_or_percent",
            ),
            models.CheckConstraint(
                condition=Q(total_limit=None) | Q(redeemed__lte=F("total_limit")), name="promo_code_within_its_limit"
            ),
        ]

    def __str__(self) -> str:
        return self.code

    @property
    def waits_for_topup(self) -> bool:
        """Whether its credit comes with a top-up, not at once."""
        return self.percent is not None or self.first_topup_only


class Redemption(models.Model):
    """That an organization has used a code. Without ``grant`` it waits for the next top-up."""

    code = models.ForeignKey(PromoCode, on_delete=models.PROTECT, related_name="redemptions")
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="redemptions")
    grant = models.OneToOneField(Grant, null=True, on_delete=models.PROTECT, related_name="redemption")
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization"], condition=Q(grant=None), name="redemption_waits_once")
        ]
        indexes = [models.Index(fields=["code", "organization"], name="redemption_of_code")]

    def __str__(self) -> str:
        return f"{self.code_id} by {self.organization_id}"
