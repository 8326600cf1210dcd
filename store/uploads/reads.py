"""What can be asked of uploads."""

from __future__ import annotations

from django.db.models import Max

from store.uploads.models import UNFINISHED, Upload, UploadStatus
from store.uploads.part_file import stream_length


def offset_of(upload: Upload) -> int:
    """Bytes that have arrived and count."""
    if upload.status not in UNFINISHED:
        return upload.size if upload.status == UploadStatus.DONE else 0
    if upload.status == UploadStatus.FINISHING:
        return upload.size
    if not upload.part_size:
        return stream_length(upload.pk)
    arrived = upload.arrived_parts.count()
    newest = upload.arrived_parts.aggregate(last=Max("number"))["last"]
    short = upload.parts * upload.part_size - upload.size if newest == upload.parts else 0  # the last part is shorter
    return arrived * upload.part_size - short
