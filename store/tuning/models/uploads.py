"""A data file that comes in parts, as OpenAI's Uploads."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from store.accounts.models import User
from store.tuning.models.files import DataFile
from store.tuning.models.public_ids import new_id
from store.uploads.models import Upload


def new_upload_id() -> str:
    """``upload_…``"""
    return new_id("upload_")


def new_part_id() -> str:
    """``part_…``"""
    return new_id("part_")


class FileUpload(models.Model):
    """What a client has announced. Its state and its reservation are those of ``upload``; ``file`` comes of it."""

    public_id = models.CharField(max_length=40, unique=True, default=new_upload_id, editable=False)
    upload = models.OneToOneField(Upload, on_delete=models.CASCADE, related_name="of_file")
    mime_type = models.CharField(max_length=200)
    expires_after_s = models.PositiveIntegerField(null=True)  # of the file, from when it is complete
    file = models.OneToOneField(DataFile, null=True, on_delete=models.CASCADE, related_name="+")
    created_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")

    def __str__(self) -> str:
        return self.public_id


class FileUploadPart(models.Model):
    """A part that has arrived. Their order is the client's, who says it at the end."""

    of = models.ForeignKey(FileUpload, on_delete=models.CASCADE, related_name="parts")
    public_id = models.CharField(max_length=40, unique=True, default=new_part_id, editable=False)
    name = models.CharField(max_length=60)  # of its file in the upload's folder
    size = models.BigIntegerField()  # bytes
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(size__gt=0), name="file_upload_part_sane")]

    def __str__(self) -> str:
        return self.public_id
