"""Receipts, credit notes and monthly statements, and what stands on them."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from store.accounts.models import Organization
from store.billing.models.topups import Topup, TopupMode


class BillingDetails(models.Model):
    """Who an organization is to its tax office. ``version`` grows with each change, so that Stripe is told of each once."""

    organization = models.OneToOneField(
        Organization, primary_key=True, on_delete=models.CASCADE, related_name="billing_details"
    )
    legal_name = models.CharField(_("legal name"), max_length=200, blank=True)
    line1 = models.CharField(_("address"), max_length=200, blank=True)
    line2 = models.CharField(_("address, second line"), max_length=200, blank=True)
    postal_code = models.CharField(_("postal code"), max_length=20, blank=True)
    city = models.CharField(_("city"), max_length=100, blank=True)
    region = models.CharField(_("state or region"), max_length=100, blank=True)
    country = models.CharField(_("country"), max_length=2, blank=True)  # ISO 3166-1, capitals
    tax_id = models.CharField(_("tax id"), max_length=30, blank=True)
    tax_id_type = models.CharField(max_length=20, blank=True)  # Stripe's word for its kind, such as eu_vat
    email = models.EmailField(_("e-mail for invoices"), blank=True)
    version = models.PositiveIntegerField(default=1)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name = _("billing details")
        verbose_name_plural = _("billing details")

    def __str__(self) -> str:
        return f"{self.organization_id}: {self.legal_name}"


class PaperKind(models.TextChoices):
    RECEIPT = "receipt", _("Receipt")
    CREDIT_NOTE = "credit_note", _("Credit note")
    STATEMENT = "statement", _("Monthly statement")


class PaperQuerySet(models.QuerySet["Paper"]):
    def visible_to(self, user: Any) -> PaperQuerySet:
        """Those of the user's organizations."""
        return self.filter(organization__in=Organization.objects.visible_to(user))


class Paper(models.Model):
    """A document with a number, never changed and never deleted (a trigger refuses). ``content`` is all that stands on it, as of then."""

    id = models.UUIDField(primary_key=True)  # version 7: sorts by time
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="papers")
    kind = models.CharField(max_length=11, choices=PaperKind)
    mode = models.CharField(max_length=4, choices=TopupMode)
    number = models.CharField(max_length=40, unique=True)
    topup = models.ForeignKey(Topup, null=True, on_delete=models.PROTECT, related_name="papers")
    about = models.CharField(max_length=120)  # what it is of: one paper each
    period = models.DateField(null=True)  # of a statement: the first day of its month, UTC
    total_nano = models.BigIntegerField()
    content = models.JSONField()
    issued_at = models.DateTimeField(db_default=Now(), editable=False)

    objects = PaperQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["kind", "about"], name="paper_once")]
        indexes = [models.Index(fields=["organization", "-id"], name="paper_of_organization")]

    def __str__(self) -> str:
        return self.number


class PaperSeries(models.Model):
    """The last number of a series and a year. A number is taken in the transaction that issues its paper, so none is missing."""

    name = models.CharField(primary_key=True, max_length=30)
    last = models.PositiveIntegerField()

    def __str__(self) -> str:
        return f"{self.name}-{self.last}"
