"""A pickle of weights that a worker turns into safetensors, because its owner asked for it."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from store.accounts.models import AccessToken, User
from store.catalog.models.listing import Listing
from store.catalog.models.release import Release
from store.catalog.models.repository import Commit


class ConversionStatus(models.TextChoices):
    QUEUED = "queued", _("Queued")
    RUNNING = "running", _("Running")
    SUCCEEDED = "succeeded", _("Succeeded")
    FAILED = "failed", _("Failed")
    CANCELLED = "cancelled", _("Cancelled")  # by the provider


class Conversion(models.Model):
    """What comes of it is a commit on ``main``. The pickle itself is an upload apart, and goes when this has ended."""

    listing = models.ForeignKey(Listing, on_delete=models.PROTECT, related_name="conversions")
    upload_id = models.UUIDField()  # store.uploads.models.Upload, of purpose "conversion"
    base = models.ForeignKey(Release, on_delete=models.PROTECT, related_name="+")  # whose config says what is in it
    status = models.CharField(max_length=9, choices=ConversionStatus, default=ConversionStatus.QUEUED)
    progress = models.FloatField(default=0)  # 0 to 1
    notes = models.JSONField(default=list)  # sentences for the owner
    error = models.TextField(blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)  # times it was sent; the newest is believed
    due_at = models.DateTimeField(db_default=Now())  # it is sent (again) when nothing was heard until then
    token = models.ForeignKey(
        AccessToken, null=True, on_delete=models.SET_NULL, related_name="+"
    )  # of the newest attempt
    commit = models.ForeignKey(Commit, null=True, on_delete=models.PROTECT, related_name="+")
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["listing"], condition=Q(status__in=["queued", "running"]), name="conversion_open_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.listing_id}: {self.status}"
