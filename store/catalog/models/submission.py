"""The way to a release: from files to published, and from another Hub to files."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from store.accounts.models import User
from store.catalog.models.listing import Listing
from store.catalog.models.release import Measurement, Release
from store.catalog.models.repository import Commit


class SubmissionStatus(models.TextChoices):
    CHECKING = "checking", _("Checking")
    REJECTED = "rejected", _("Rejected")  # by the checks: `problems` says why
    MEASURING = "measuring", _("Measuring")
    UNFIT = "unfit", _("Does not answer")  # measured, and it cannot be served: `problems` says why
    READY = "ready", _("Ready")  # waits for its provider
    IN_REVIEW = "in_review", _("In review")  # waits for a moderator
    DECLINED = "declined", _("Declined")  # by a moderator: `reason`
    PUBLISHED = "published", _("Published")
    CANCELLED = "cancelled", _("Cancelled")  # by the provider, or by a newer one


OPEN_SUBMISSION = (
    SubmissionStatus.CHECKING, SubmissionStatus.MEASURING, SubmissionStatus.READY, SubmissionStatus.IN_REVIEW,
)  # fmt: skip


class Submission(models.Model):
    """A commit on its way to be the listing's current release. One is open for a listing at a time."""

    listing = models.ForeignKey(Listing, on_delete=models.PROTECT, related_name="submissions")
    commit = models.ForeignKey(Commit, on_delete=models.PROTECT, related_name="submissions")
    release = models.ForeignKey(
        Release, null=True, on_delete=models.PROTECT, related_name="submissions"
    )  # once checked
    measurement = models.ForeignKey(Measurement, null=True, on_delete=models.PROTECT, related_name="+")
    status = models.CharField(max_length=10, choices=SubmissionStatus, default=SubmissionStatus.CHECKING)
    problems = models.JSONField(default=list)  # [{"path", "code", "message"}] as inference.manifest.Problem
    reason = models.TextField(blank=True)  # a moderator's words
    # What the card says, once checked: the fields of store.catalog.card.Card, which the listing shows when it is published.
    card = models.JSONField(default=dict)
    goes_live = models.BooleanField(default=False)  # published once it is ready, where only the card is new
    attempts = models.PositiveSmallIntegerField(default=0)  # times that its check was begun
    due_at = models.DateTimeField(db_default=Now())  # the check is sent (again) when nothing was heard until then
    created_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    updated_at = models.DateTimeField(db_default=Now())
    decided_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    decided_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["listing"],
                condition=Q(status__in=["checking", "measuring", "ready", "in_review"]),
                name="submission_open_once",
            )
        ]
        indexes = [
            models.Index(fields=["listing", "-id"], name="submission_newest"),
            models.Index(fields=["status", "id"], name="submission_by_status"),
        ]

    def __str__(self) -> str:
        return f"{self.listing_id}: {self.status}"


class ImportStatus(models.TextChoices):
    QUEUED = "queued", _("Queued")
    RUNNING = "running", _("Running")
    SUCCEEDED = "succeeded", _("Succeeded")
    FAILED = "failed", _("Failed")
    CANCELLED = "cancelled", _("Cancelled")


class ImportJob(models.Model):
    """A model of another Hub, fetched by a worker into a commit of the listing."""

    listing = models.ForeignKey(Listing, on_delete=models.PROTECT, related_name="imports")
    endpoint = models.URLField(max_length=300)  # the other Hub
    repo_id = models.CharField(max_length=200)
    revision = models.CharField(max_length=100, default="main")
    resolved = models.CharField(max_length=64, blank=True)  # the commit that the revision was
    status = models.CharField(max_length=10, choices=ImportStatus, default=ImportStatus.QUEUED)
    done_bytes = models.BigIntegerField(default=0)
    total_bytes = models.BigIntegerField(default=0)
    reserved_bytes = models.BigIntegerField(default=0)  # of the organization's storage, for what is not kept yet
    error = models.TextField(blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)  # the newest owns the job
    due_at = models.DateTimeField(db_default=Now())  # it is sent (again) when nothing was heard until then
    commit = models.ForeignKey(Commit, null=True, on_delete=models.PROTECT, related_name="+")
    created_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["listing"], condition=Q(status__in=["queued", "running"]), name="import_open_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.repo_id}@{self.revision}"
