"""Where a release is prepared: a listing's files as commits on branches, as the Hub's clients know them."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from store.accounts.models import User
from store.catalog.models.blob import Blob
from store.catalog.models.listing import Listing


class Commit(models.Model):
    """A state of all files. ``oid`` is 40 hex digits, made of the parent, the files and the words (store.catalog.actions.commits)."""

    listing = models.ForeignKey(Listing, on_delete=models.PROTECT, related_name="commits")
    oid = models.CharField(max_length=40)
    parent = models.ForeignKey("self", null=True, on_delete=models.PROTECT, related_name="+")
    digest = models.CharField(
        max_length=71
    )  # inference.manifest.release_digest of the files: equal content, equal digest
    title = models.CharField(max_length=500)
    message = models.TextField(blank=True)
    size = models.BigIntegerField()  # bytes of all files
    author = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["listing", "oid"], name="commit_once"),
            models.CheckConstraint(condition=Q(oid__regex=r"^[0-9a-f]{40}$", size__gte=0), name="commit_sane"),
        ]

    def __str__(self) -> str:
        return self.oid


class CommitFile(models.Model):
    """A file of a commit at its path."""

    commit = models.ForeignKey(Commit, on_delete=models.CASCADE, related_name="files")
    path = models.CharField(max_length=400)
    blob = models.ForeignKey(Blob, on_delete=models.PROTECT, related_name="+")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["commit", "path"], name="commit_path_once")]

    def __str__(self) -> str:
        return self.path


class RefKind(models.TextChoices):
    BRANCH = "branch"
    TAG = "tag"


class Ref(models.Model):
    """A branch, which moves with its commits, or a tag, which stays. ``main`` is there once there is a commit."""

    listing = models.ForeignKey(Listing, on_delete=models.PROTECT, related_name="refs")
    kind = models.CharField(max_length=6, choices=RefKind)
    name = models.CharField(max_length=100)
    commit = models.ForeignKey(Commit, on_delete=models.PROTECT, related_name="+")
    message = models.CharField(max_length=500, blank=True)  # of a tag
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["listing", "kind", "name"], name="ref_once")]

    def __str__(self) -> str:
        return self.name
