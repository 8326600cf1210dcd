"""Files on their way into the store."""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from store.accounts.models import Organization, User


class UploadStatus(models.TextChoices):
    OPEN = "open", _("Arriving")
    FINISHING = "finishing", _("Being put away")  # every byte is here: it is compared with what was promised
    DONE = "done", _("Done")
    FAILED = "failed", _("Not what was promised")
    CANCELLED = "cancelled", _("Cancelled")
    EXPIRED = "expired", _("Expired")


UNFINISHED = (UploadStatus.OPEN, UploadStatus.FINISHING)
TRANSITIONS = {
    UploadStatus.OPEN: (UploadStatus.FINISHING, UploadStatus.FAILED, UploadStatus.CANCELLED, UploadStatus.EXPIRED),
    UploadStatus.FINISHING: (UploadStatus.DONE, UploadStatus.EXPIRED),
    UploadStatus.DONE: (UploadStatus.CANCELLED, UploadStatus.EXPIRED),  # conversions only: their file is no content
}


class Purpose(models.TextChoices):
    FILE = "file", _("A file of a model")
    CONVERSION = "conversion", _("A pickle to be converted")  # never becomes content that a commit may use
    DATA = "data", _("Training data")


# Whose size counts as reserved: what is on its way, and files that wait to be converted.
RESERVING = Q(status__in=UNFINISHED) | Q(status=UploadStatus.DONE, purpose=Purpose.CONVERSION)


class UploadQuerySet(models.QuerySet["Upload"]):
    def unfinished(self) -> UploadQuerySet:
        """Those that can be gone on with, the newest first."""
        return self.filter(status__in=UNFINISHED, expires_at__gt=Now()).order_by("-created_at")


class Upload(models.Model):
    """A file that a client sends: as one growing file, or in parts of ``part_size`` bytes that come in any order.

    What has arrived lies in files (store.uploads.part_file). While the upload is RESERVING its ``size`` is set aside in the
    organization's StorageUse.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="uploads")
    user = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    path = models.CharField(max_length=400)  # the name that the file shall have in a repository
    size = models.BigIntegerField()  # bytes
    sha256 = models.CharField(max_length=64, blank=True)  # as promised at the beginning; as found at the end
    part_size = models.BigIntegerField(null=True)  # bytes of a part; null: no parts
    purpose = models.CharField(max_length=10, choices=Purpose, default=Purpose.FILE)
    status = models.CharField(max_length=9, choices=UploadStatus, default=UploadStatus.OPEN)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    expires_at = models.DateTimeField()  # moves on whenever bytes come

    objects = UploadQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(size__gte=0) & (Q(part_size=None) | Q(part_size__gt=0)), name="upload_sane"
            ),
            models.CheckConstraint(condition=Q(sha256__regex=r"^([0-9a-f]{64})?$"), name="upload_sha256_sane"),
        ]
        indexes = [
            models.Index(fields=["expires_at"], name="upload_expiry"),
            models.Index(
                fields=["organization", "-created_at"],
                condition=Q(status__in=["open", "finishing"]),
                name="upload_unfinished",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.path} of {self.organization_id}: {self.status}"

    @property
    def parts(self) -> int:
        """How many parts there are; 0 where the upload has none."""
        return -(-self.size // self.part_size) if self.part_size else 0


class UploadPart(models.Model):
    """A part that has arrived whole. ``number`` counts from 1, as in S3 and Git LFS."""

    upload = models.ForeignKey(Upload, on_delete=models.CASCADE, related_name="arrived_parts")
    number = models.PositiveIntegerField()
    etag = models.CharField(max_length=64)  # what the client was told: CRC-32 of the bytes

    class Meta:
        constraints = [models.UniqueConstraint(fields=["upload", "number"], name="upload_part_once")]

    def __str__(self) -> str:
        return f"{self.upload_id} part {self.number}"
