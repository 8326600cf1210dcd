"""The images of a model card: files of a release, or of a commit that is still being worked on."""

from __future__ import annotations

from typing import Any

from django.core.files.storage import default_storage

from store.catalog.models import Blob, CommitFile, Listing, ReleaseFile
from store.console.product import is_member

MAX_IMAGE_BYTES = 4 * 1024 * 1024
HEAD_BYTES = 12
MAGIC = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF87a": "image/gif",
    b"GIF89a": "image/gif",
}


def image_blob(user: Any, name: str, revision: str, path: str) -> Blob | None:
    """The file at this path of a release whose digest begins with ``revision``, or of the commit of this id, where the user sees it.

    Who sees the listing sees its releases' images; commits are for the members of its organization, and for moderators, who judge them.
    """
    judges = user.is_authenticated and (user.is_moderator or user.is_superuser)
    listing = (Listing.objects.all() if judges else Listing.objects.visible_to(user)).named(name).first()
    if listing is None:
        return None
    released = ReleaseFile.objects.filter(
        release__listing=listing, release__digest__startswith=f"sha256:{revision}", path=path
    )
    found: ReleaseFile | CommitFile | None = released.select_related("blob").first()
    if found is None and (judges or is_member(user, listing)):
        committed = CommitFile.objects.filter(commit__listing=listing, commit__oid=revision, path=path)
        found = committed.select_related("blob").first()
    return found.blob if found and found.blob.size <= MAX_IMAGE_BYTES else None


def read_image(blob: Blob) -> tuple[str, bytes] | None:
    """(media type, bytes); None where the bytes are not those of an image that we know: names prove nothing. None, too, where they
    were collected, for the listing was deleted before it came back.
    """
    try:
        with default_storage.open(blob.storage_name) as file:
            data: bytes = file.read()
    except FileNotFoundError:
        return None
    head = data[:HEAD_BYTES]
    if head.startswith(b"RIFF") and head.endswith(b"WEBP"):
        return "image/webp", data
    known = next((media_type for magic, media_type in MAGIC.items() if head.startswith(magic)), None)
    return (known, data) if known else None
