"""Who was let in to a gated listing's files."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from store.accounts.models import User
from store.catalog.models.listing import Listing


class AccessStatus(models.TextChoices):
    PENDING = "pending", _("Waits for an answer")
    GRANTED = "granted", _("Granted")
    REFUSED = "refused", _("Refused")


class AccessRequestQuerySet(models.QuerySet["AccessRequest"]):
    def opening(self, user: Any) -> AccessRequestQuerySet:
        """The grants of this user that are good now."""
        if not user.is_authenticated:
            return self.none()
        return self.filter(Q(expires_at=None) | Q(expires_at__gt=Now()), user=user, status=AccessStatus.GRANTED)


class AccessRequest(models.Model):
    """A person's wish to download a gated listing, with their answers to its questions. Asking again is the same row."""

    listing = models.ForeignKey(Listing, on_delete=models.PROTECT, related_name="access_requests")
    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="access_requests")
    answers = models.JSONField(default=list)  # [[question, answer], ...] as they were asked
    status = models.CharField(max_length=8, choices=AccessStatus, default=AccessStatus.PENDING)
    reason = models.CharField(max_length=500, blank=True)
    expires_at = models.DateTimeField(null=True)  # of a grant; null: for ever
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    decided_at = models.DateTimeField(null=True)
    decided_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")

    objects = AccessRequestQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["listing", "user"], name="access_request_once")]
        indexes = [models.Index(fields=["listing", "status", "id"], name="access_of_listing")]

    def __str__(self) -> str:
        return f"{self.user_id} to {self.listing_id}: {self.status}"
