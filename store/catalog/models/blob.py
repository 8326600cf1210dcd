"""The bytes of files, by content; who has them, and how much they may have."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from store.accounts.models import Organization


class Blob(models.Model):
    """The bytes of a file, stored once however many releases hold it. Its storage name is its sha256."""

    sha256 = models.CharField(primary_key=True, max_length=64)
    size = models.BigIntegerField()
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(sha256__regex=r"^[0-9a-f]{64}$", size__gte=0), name="blob_sane")
        ]

    def __str__(self) -> str:
        return self.sha256

    @property
    def storage_name(self) -> str:
        return f"blobs/{self.sha256[:2]}/{self.sha256}"


class OrganizationBlob(models.Model):
    """An organization has sent this content once: it may use it in its repositories, and it counts once against its storage."""

    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="+")
    blob = models.ForeignKey(Blob, on_delete=models.PROTECT, related_name="holders")
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["organization", "blob"], name="organization_blob_once")]

    def __str__(self) -> str:
        return f"{self.organization_id} has {self.blob_id}"


class StorageUse(models.Model):
    """Bytes that an organization keeps, and those that are on their way. The database refuses what is above the limit."""

    organization = models.OneToOneField(
        Organization, primary_key=True, on_delete=models.PROTECT, related_name="storage_use"
    )
    limit_bytes = models.BigIntegerField()
    used_bytes = models.BigIntegerField(default=0)
    reserved_bytes = models.BigIntegerField(default=0)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(used_bytes__gte=0, reserved_bytes__gte=0), name="storage_sane"),
            models.CheckConstraint(
                condition=Q(limit_bytes__gte=F("used_bytes") + F("reserved_bytes")) | Q(reserved_bytes=0),
                name="storage_within_limit",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.organization_id}: {self.used_bytes} of {self.limit_bytes}"
