"""Releases, which never change, and what the store measured of them."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from store.accounts.models import User
from store.catalog.models.blob import Blob
from store.catalog.models.listing import Listing
from store.catalog.models.repository import Commit
from store.catalog.models.royalty import RoyaltyTerm


class Release(models.Model):
    """A version of a listing: a fixed set of files. Nothing of it ever changes (a trigger refuses)."""

    listing = models.ForeignKey(Listing, on_delete=models.PROTECT, related_name="releases")
    number = models.PositiveIntegerField()
    digest = models.CharField(max_length=71, db_index=True)  # "sha256:<64 hex>", see inference.manifest.release_digest
    size = models.BigIntegerField()  # bytes of all files
    architecture = models.CharField(max_length=60)  # "GPT2LMHeadModel"
    parameters = models.BigIntegerField()
    context_length = models.PositiveIntegerField()  # tokens
    vocab_size = models.PositiveIntegerField()
    card = models.TextField(blank=True)  # README.md without its front matter
    commit = models.ForeignKey(Commit, null=True, on_delete=models.PROTECT, related_name="releases")
    task = models.CharField(max_length=40, default="text-generation")
    # An adapter is served on its base: this release, by digest. Null for full weights.
    base = models.ForeignKey("self", null=True, on_delete=models.PROTECT, related_name="adapters")
    terms = models.ForeignKey(
        RoyaltyTerm, null=True, on_delete=models.PROTECT, related_name="releases"
    )  # null: of no base
    created_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["listing", "number"], name="release_number_once"),
            models.CheckConstraint(condition=Q(digest__regex=r"^sha256:[0-9a-f]{64}$"), name="release_digest_sane"),
        ]

    def __str__(self) -> str:
        return f"{self.listing_id}@{self.number}"


class ReleaseFile(models.Model):
    """A file of a release at its path."""

    release = models.ForeignKey(Release, on_delete=models.PROTECT, related_name="files")
    path = models.CharField(max_length=400)
    blob = models.ForeignKey(Blob, on_delete=models.PROTECT, related_name="+")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["release", "path"], name="release_path_once")]

    def __str__(self) -> str:
        return self.path


class MeasurementStatus(models.TextChoices):
    QUEUED = "queued", _("Queued")
    RUNNING = "running", _("Running")
    DONE = "done", _("Done")
    FAILED = "failed", _("Failed")


class Measurement(models.Model):
    """Numbers of a release that a worker of the store found: nobody writes them by hand. The newest that is DONE is shown."""

    release = models.ForeignKey(Release, on_delete=models.PROTECT, related_name="measurements")
    status = models.CharField(max_length=8, choices=MeasurementStatus, default=MeasurementStatus.QUEUED)
    progress = models.FloatField(default=0)  # 0 to 1
    step = models.CharField(max_length=60, blank=True)  # what it does now, for people
    error = models.TextField(blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)  # times it was sent; the newest is believed
    due_at = models.DateTimeField(db_default=Now())  # it is sent (again) when nothing was heard until then
    hardware = models.CharField(max_length=120, blank=True)  # "NVIDIA H100 80GB", "AMD EPYC 9B14 (2 cores)"
    software = models.CharField(max_length=200, blank=True)  # "torch 2.13.0, transformers 5.23.0, float32"
    reference = models.CharField(max_length=71, blank=True)  # digest of the reference text
    perplexity = models.FloatField(null=True)  # per token, on the reference text
    held_out_perplexity = models.FloatField(null=True)  # on held_out.txt of the release
    ttft_ms = models.FloatField(null=True)  # time to first token, one at a time, median
    tokens_per_s_1 = models.FloatField(null=True)  # output tokens per second of 1, 8 and 32 at once, in all
    tokens_per_s_8 = models.FloatField(null=True)
    tokens_per_s_32 = models.FloatField(null=True)
    memory_bytes = models.BigIntegerField(null=True)  # weights and key-value cache, at 32 at once
    sample = models.TextField(blank=True)  # what it answered
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    measured_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            models.Index(fields=["release", "-id"], name="measurement_newest"),
            models.Index(fields=["due_at"], condition=Q(status__in=["queued", "running"]), name="measurement_due"),
        ]

    def __str__(self) -> str:
        return f"{self.release_id}: {self.status}"
