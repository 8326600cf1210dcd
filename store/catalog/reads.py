"""What the rest of the store asks the catalog."""

from __future__ import annotations

import hashlib
import secrets
import shutil
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from django.conf import settings
from django.core.files.storage import default_storage

from store.catalog.blobs import CHUNK_BYTES
from store.catalog.models import CALLABLE, Blob, Listing, Release

WEIGHTS_SUFFIX = ".safetensors"
CONFIG = "config.json"


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
    architecture: str  # "GPT2LMHeadModel"
    context_length: int  # tokens
    status: str
    is_private: bool
    # The release that an adapter is served on, and its listing's name; 0 and "" for full weights.
    base_release_id: int = 0
    base_digest: str = ""
    base_name: str = ""
    base_size: int = 0
    deprecated_at: datetime | None = None
    shutdown_at: datetime | None = None  # of a deprecated listing


def callable_listing(name: str) -> CallableListing | None:
    """The listing of this full name, if it can be called. One query; the caller caches, and checks who may call it."""
    listing = (
        Listing.objects.named(name)
        .filter(status__in=CALLABLE, current_release__isnull=False)
        .select_related("organization", "current_release__base__listing__organization")
        .first()
    )
    return as_callable(listing, listing.current_release) if listing and listing.current_release else None


def as_callable(listing: Listing, release: Release) -> CallableListing:
    """What serving a release of the listing takes."""
    base = release.base
    return CallableListing(
        listing_id=listing.pk,
        name=listing.name,
        organization_id=listing.organization_id,
        release_id=release.pk,
        digest=release.digest,
        size=release.size,
        architecture=release.architecture,
        context_length=release.context_length,
        status=listing.status,
        is_private=listing.is_private,
        base_release_id=base.pk if base else 0,
        base_digest=base.digest if base else "",
        base_name=base.listing.name if base else "",
        base_size=base.size if base else 0,
        deprecated_at=listing.deprecated_at,
        shutdown_at=listing.shutdown_at,
    )


def release_folder(release_id: int) -> Path:
    """A local folder with every file of the release but the weights: what the gateway needs to make tokens of a prompt.

    An adapter's has the files of its base where it brings none, and always its base's config, as the engine serves it. Kept under
    ``DATA_DIR/cache`` by digest, for ever good. Raises Release.DoesNotExist, BlobDamaged and OSError.
    """
    release = Release.objects.select_related("base").get(pk=release_id)
    folder = Path(settings.DATA_DIR) / "cache" / "releases" / release.digest.removeprefix("sha256:")
    if folder.is_dir():
        return folder
    partial = folder.with_name(f"{folder.name}.{secrets.token_hex(4)}.partial")
    partial.mkdir(parents=True)
    try:
        for path, blob in _small_files(release).items():
            _fetch(blob, partial / path)
        try:
            partial.rename(folder)
        except OSError:
            if not folder.is_dir():  # another process or thread was first: its copy is as good
                raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return folder


def _small_files(release: Release) -> dict[str, Blob]:
    """By path: all but the weights, over those of the base where there is one."""
    made = _small_files(release.base) if release.base else {}
    own = {file.path: file.blob for file in release.files.select_related("blob")}
    return made | {
        path: blob
        for path, blob in own.items()
        if not path.endswith(WEIGHTS_SUFFIX) and "/" not in path and not (release.base and path == CONFIG)
    }


def _fetch(blob: Blob, target: Path) -> None:
    digest = hashlib.sha256()
    with default_storage.open(blob.storage_name) as source, target.open("xb") as out:
        for chunk in source.chunks(CHUNK_BYTES):
            digest.update(chunk)
            out.write(chunk)
    if digest.hexdigest() != blob.sha256:
        raise BlobDamaged(f"blob {blob.sha256} is damaged in the storage")
