"""Files of training data: what they are, what was found in them, and how many tokens they have for a model."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from store.accounts.models import Organization, User
from store.catalog.models import Blob, Release
from store.tuning.models.public_ids import new_id


class FilePurpose(models.TextChoices):
    """OpenAI's words."""

    TUNE = "fine-tune", _("Training data")
    RESULTS = "fine-tune-results", _("Results of a training")  # made by the store


class FileStatus(models.TextChoices):
    UPLOADED = "uploaded", _("Waiting")
    PROCESSING = "processing", _("Being read")
    PROCESSED = "processed", _("Ready")
    ERROR = "error", _("Cannot be used")  # status_details says why


UNREAD = (FileStatus.UPLOADED, FileStatus.PROCESSING)


class DataFormat(models.TextChoices):
    """What the records of a file are: the words of ``inference.training.data.DataFormat``, which the store does not load."""

    CHAT = "chat", _("Dialogues")
    COMPLETION = "completion", _("Prompts and completions")
    PREFERENCE = "preference", _("Preferences")
    TEXT = "text", _("Plain text")


def new_file_id() -> str:
    """``file-…``"""
    return new_id("file-")


class DataFileQuerySet(models.QuerySet["DataFile"]):
    def visible_to(self, user: Any) -> DataFileQuerySet:
        """The files of the user's organizations that nobody has deleted."""
        return self.kept().filter(organization__in=Organization.objects.visible_to(user))

    def kept(self) -> DataFileQuerySet:
        """Those that were not deleted and have not expired."""
        return self.filter(deleted_at=None).filter(Q(expires_at=None) | Q(expires_at__gt=Now()))


class DataFile(models.Model):
    """A file for training, or one that a training has made. Its content is a Blob, which counts against the organization's storage."""

    public_id = models.CharField(max_length=40, unique=True, default=new_file_id, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="data_files")
    filename = models.CharField(max_length=255)
    purpose = models.CharField(max_length=20, choices=FilePurpose, default=FilePurpose.TUNE)
    size = models.BigIntegerField()  # bytes
    blob = models.ForeignKey(Blob, null=True, on_delete=models.PROTECT, related_name="+")  # null: deleted
    sha256 = models.CharField(max_length=64)  # of the content, also when that is gone
    status = models.CharField(max_length=10, choices=FileStatus, default=FileStatus.UPLOADED)
    status_details = models.TextField(blank=True)
    format = models.CharField(max_length=10, choices=DataFormat, blank=True)  # "": to be found out
    mapping = models.JSONField(default=dict, blank=True)  # field of a record -> column of a CSV or Parquet file
    report = models.JSONField(default=dict, blank=True)  # inference.training.data.report.Report
    examples = models.BigIntegerField(default=0)  # records that can be trained on
    attempts = models.PositiveSmallIntegerField(default=0)  # times that its reading was begun; the newest is believed
    described_at = models.PositiveSmallIntegerField(default=0)  # the attempts there had been when it was described anew
    due_at = models.DateTimeField(db_default=Now())  # it is read (again) when nothing was heard until then
    created_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    expires_at = models.DateTimeField(null=True)
    deleted_at = models.DateTimeField(null=True)

    objects = DataFileQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(size__gte=0, examples__gte=0), name="data_file_sane"),
            models.CheckConstraint(condition=Q(deleted_at=None) | Q(blob=None), name="data_file_deleted_is_gone"),
        ]
        indexes = [
            models.Index(fields=["organization", "-id"], condition=Q(deleted_at=None), name="data_file_newest"),
            models.Index(fields=["due_at"], condition=Q(status__in=["uploaded", "processing"]), name="data_file_due"),
        ]

    def __str__(self) -> str:
        return f"{self.public_id} ({self.filename})"


class TallyStatus(models.TextChoices):
    QUEUED = "queued", _("Waiting")
    RUNNING = "running", _("Counting")
    DONE = "done", _("Counted")
    FAILED = "failed", _("Cannot be counted")  # `error` says why


class Tally(models.Model):
    """How many tokens a file has for a base, cut at ``max_length`` tokens an example: what one epoch trains, and what it costs."""

    file = models.ForeignKey(DataFile, on_delete=models.CASCADE, related_name="tallies")
    release = models.ForeignKey(
        Release, on_delete=models.PROTECT, related_name="+"
    )  # whose tokenizer and template count
    max_length = models.PositiveIntegerField()  # tokens of an example, the rest of it is cut
    status = models.CharField(max_length=7, choices=TallyStatus, default=TallyStatus.QUEUED)
    error = models.TextField(blank=True)
    tokens = models.BigIntegerField(default=0)  # of all examples, after they were cut
    trainable_tokens = models.BigIntegerField(default=0)  # of these: those that the loss is taken over
    truncated = models.BigIntegerField(default=0)  # examples that were cut
    skipped = models.BigIntegerField(default=0)  # examples of which the cut leaves nothing to learn: they are left out
    longest = models.BigIntegerField(default=0)  # tokens of the longest example, before it was cut
    histogram = models.JSONField(default=list)  # [[up to so many tokens, examples], …]
    examples = models.BigIntegerField(default=0)  # counted so far; of a text, windows of max_length
    progress = models.FloatField(default=0)  # 0 to 1
    attempts = models.PositiveSmallIntegerField(default=0)
    due_at = models.DateTimeField(db_default=Now())
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["file", "release", "max_length"], name="tally_once"),
            models.CheckConstraint(condition=Q(max_length__gte=1), name="tally_sane"),
        ]
        indexes = [
            models.Index(fields=["due_at"], condition=Q(status__in=["queued", "running"]), name="tally_due"),
        ]

    def __str__(self) -> str:
        return f"{self.file_id} for {self.release_id}: {self.status}"
