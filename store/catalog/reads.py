"""What the rest of the store asks the catalog."""

from __future__ import annotations

import hashlib
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.core.files.storage import default_storage

from store.catalog.blobs import CHUNK_BYTES
from store.catalog.models import CALLABLE, Blob, Listing, Release

WEIGHTS_SUFFIX = ".safetensors"


class BlobDamaged(OSError):
    """The storage does not give back what was put in."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CallableListing:
    """A listing that a request can name, with what serving it takes. A plain copy: safe to keep for a moment in a process."""

    listing_id: int
    name: str
    organization_id: int
    release_id: int
    digest: str
    size: int  # bytes of all files
    context_length: int  # tokens
    status: str
    is_private: bool


def callable_listing(name: str) -> CallableListing | None:
    """The listing of this full name, if it can be called. One query; the caller caches, and checks who may call it."""
    listing = (
        Listing.objects.named(name)
        .filter(status__in=CALLABLE, current_release__isnull=False)
        .select_related("organization", "current_release")
        .first()
    )
    if listing is None or listing.current_release is None:
        return None
    release = listing.current_release
    return CallableListing(
        listing_id=listing.pk,
        name=listing.name,
        organization_id=listing.organization_id,
        release_id=release.pk,
        digest=release.digest,
        size=release.size,
        context_length=release.context_length,
        status=listing.status,
        is_private=listing.is_private,
    )


def release_folder(release_id: int) -> Path:
    """A local folder with every file of the release but the weights: what the gateway needs to make tokens of a prompt.

    Kept under ``DATA_DIR/cache`` by digest, for ever good. Raises Release.DoesNotExist, BlobDamaged and OSError.
    """
    release = Release.objects.only("digest").get(pk=release_id)
    folder = Path(settings.DATA_DIR) / "cache" / "releases" / release.digest.removeprefix("sha256:")
    if folder.is_dir():
        return folder
    partial = folder.with_name(f"{folder.name}.{secrets.token_hex(4)}.partial")
    partial.mkdir(parents=True)
    try:
        for file in release.files.select_related("blob"):
            if not file.path.endswith(WEIGHTS_SUFFIX):
                _fetch(file.blob, partial / file.path)
        try:
            partial.rename(folder)
        except OSError:
            if not folder.is_dir():  # another process or thread was first: its copy is as good
                raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return folder


def _fetch(blob: Blob, target: Path) -> None:
    digest = hashlib.sha256()
    with default_storage.open(blob.storage_name) as source, target.open("xb") as out:
        for chunk in source.chunks(CHUNK_BYTES):
            digest.update(chunk)
            out.write(chunk)
    if digest.hexdigest() != blob.sha256:
        raise BlobDamaged(f"blob {blob.sha256} is damaged in the storage")
