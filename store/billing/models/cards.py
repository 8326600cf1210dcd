"""The card that an organization has saved at Stripe, and the top-ups that are paid with it by themselves."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from store.accounts.models import Organization, User
from store.billing.models.topups import Place, Topup


class CardSetup(models.Model):
    """A page on which a card is saved. Its id is the key of the page; ``session`` is null until Stripe has answered."""

    id = models.UUIDField(primary_key=True)
    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="card_setups")
    place = models.CharField(max_length=7, choices=Place)
    session = models.CharField(max_length=100, null=True, unique=True)  # noqa: DJ001
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    ended_at = models.DateTimeField(null=True)  # the card was saved, or the page has expired

    class Meta:
        indexes = [models.Index(fields=["created_at"], condition=Q(ended_at=None), name="card_setup_open")]

    def __str__(self) -> str:
        return str(self.id)


class Card(models.Model):
    """What is shown of a card: never its number, which the store has never seen. One at a time for each organization and place."""

    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="cards")
    place = models.CharField(max_length=7, choices=Place)
    stripe_id = models.CharField(max_length=100, unique=True)
    brand = models.CharField(_("brand"), max_length=30)
    last4 = models.CharField(_("last digits"), max_length=4)
    exp_month = models.PositiveSmallIntegerField()
    exp_year = models.PositiveSmallIntegerField()
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["organization", "place"], name="card_once_at_each_place")]

    def __str__(self) -> str:
        return f"{self.brand} •••• {self.last4}"


class OffReason(models.TextChoices):
    DECLINED = "declined", _("The card was declined three times in a row.")
    CARD = "card", _("There is no saved card.")


class AutoTopup(models.Model):
    """Credit is bought by itself below ``threshold_nano``, up to ``month_nano`` in a month (UTC). ``current`` is the one under way.

    The row is its own outbox: ``due_at`` says when it is looked at again.
    """

    organization = models.OneToOneField(
        Organization, primary_key=True, on_delete=models.CASCADE, related_name="auto_topup"
    )
    is_on = models.BooleanField(default=True)
    threshold_nano = models.BigIntegerField()
    amount_nano = models.BigIntegerField()
    month_nano = models.BigIntegerField()
    failures = models.PositiveSmallIntegerField(default=0)  # in a row
    off_reason = models.CharField(max_length=10, choices=OffReason, blank=True)
    current = models.OneToOneField(Topup, null=True, on_delete=models.PROTECT, related_name="auto_topup")
    due_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name = _("automatic top-up")
        verbose_name_plural = _("automatic top-ups")
        constraints = [
            models.CheckConstraint(
                condition=Q(threshold_nano__gte=0, amount_nano__gt=0, month_nano__gte=models.F("amount_nano")),
                name="auto_topup_sane",
            )
        ]
        indexes = [models.Index(fields=["due_at"], condition=Q(is_on=True), name="auto_topup_due")]

    def __str__(self) -> str:
        return f"{self.organization_id}: {self.amount_nano} below {self.threshold_nano}"
