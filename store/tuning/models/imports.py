"""A data set of another Hub on its way to a file of training data."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from store.accounts.models import Organization, User
from store.tuning.models.files import DataFile
from store.tuning.models.public_ids import new_id


class DataImportStatus(models.TextChoices):
    QUEUED = "queued", _("Queued")
    RUNNING = "running", _("Running")
    SUCCEEDED = "succeeded", _("Succeeded")
    FAILED = "failed", _("Failed")  # `error` says why
    CANCELLED = "cancelled", _("Cancelled")


OPEN_IMPORT = (DataImportStatus.QUEUED, DataImportStatus.RUNNING)


def new_import_id() -> str:
    """``import-…``"""
    return new_id("import-")


class DataImportQuerySet(models.QuerySet["DataImport"]):
    def visible_to(self, user: Any) -> DataImportQuerySet:
        """Those of the user's organizations."""
        return self.filter(organization__in=Organization.objects.visible_to(user))


class DataImport(models.Model):
    """A split of a data set, read by a child of a CPU worker row by row, and kept as JSONL."""

    public_id = models.CharField(max_length=40, unique=True, default=new_import_id, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="data_imports")
    created_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    endpoint = models.URLField(max_length=300)  # the other Hub
    repo_id = models.CharField(max_length=200)
    config = models.CharField(max_length=100, blank=True)  # "": the only one, or "default"
    split = models.CharField(max_length=100)
    revision = models.CharField(max_length=100, default="main")
    resolved = models.CharField(max_length=64, blank=True)  # the commit that the revision was
    most_rows = models.PositiveBigIntegerField(null=True)  # the first so many; null: all
    status = models.CharField(max_length=10, choices=DataImportStatus, default=DataImportStatus.QUEUED)
    rows = models.BigIntegerField(default=0)  # so far
    size = models.BigIntegerField(default=0)  # bytes of JSONL, so far
    error = models.TextField(blank=True)
    file = models.ForeignKey(DataFile, null=True, on_delete=models.SET_NULL, related_name="+")
    attempts = models.PositiveSmallIntegerField(default=0)  # the newest owns it
    due_at = models.DateTimeField(db_default=Now())  # it is sent (again) when nothing was heard until then
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    ended_at = models.DateTimeField(null=True)

    objects = DataImportQuerySet.as_manager()

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(rows__gte=0, size__gte=0), name="data_import_sane")]
        indexes = [
            models.Index(fields=["organization", "-id"], name="data_import_newest"),
            models.Index(fields=["due_at"], condition=Q(status__in=["queued", "running"]), name="data_import_due"),
        ]

    def __str__(self) -> str:
        return f"{self.repo_id}/{self.config or 'default'}/{self.split}"

    @property
    def is_open(self) -> bool:
        return self.status in OPEN_IMPORT
