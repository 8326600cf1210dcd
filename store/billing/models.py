"""Money in and out of the store."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from store.accounts.models import Organization, User


class TopupMode(models.TextChoices):
    TEST = "test", _("Test money")
    LIVE = "live", _("Live")


class Topup(models.Model):
    """Credit that an organization bought. Its transfer's key is ``topup:<id>``."""

    id = models.UUIDField(primary_key=True)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="topups")
    amount_nano = models.BigIntegerField()
    mode = models.CharField(max_length=4, choices=TopupMode)
    created_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(amount_nano__gt=0), name="topup_positive")]

    def __str__(self) -> str:
        return str(self.id)
