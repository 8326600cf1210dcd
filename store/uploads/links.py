"""Links to an upload. Who has one may send its bytes, ask how far it is, and cancel it: nothing else."""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass

from django.conf import settings
from django.core import signing

from store.uploads.models import Upload

SALT = "store.uploads"
PREFIX = "/uploads/"
LINK = re.compile(rf"{PREFIX}(?P<signed>[0-9a-f]{{32}}:[\w-]+)(?:/(?P<part>[1-9]\d{{0,5}}))?")

_signer = signing.Signer(salt=SALT)


@dataclass(frozen=True, slots=True)
class Link:
    """What a path names: an upload, or one of its parts (from 1)."""

    upload_id: uuid.UUID
    part: int | None


def upload_path(upload: Upload, part: int | None = None) -> str:
    """``/uploads/<signed id>`` or ``/uploads/<signed id>/<part>``; it is good until the upload expires."""
    path = f"{PREFIX}{_signer.sign(upload.pk.hex)}"
    return path if part is None else f"{path}/{part}"


def upload_url(upload: Upload, part: int | None = None) -> str:
    """``upload_path`` on this store's public address."""
    return f"{settings.PUBLIC_URL}{upload_path(upload, part)}"


def is_link(path: str) -> bool:
    """Whether a request for this path is one to an upload, forged or not; ``/uploads/mine`` and the like are pages."""
    return path.startswith(PREFIX) and ":" in path


def read_link(path: str) -> Link | None:
    """None where the path was not signed here."""
    found = LINK.fullmatch(path)
    try:
        name = _signer.unsign(found["signed"]) if found else ""
    except signing.BadSignature:
        return None
    return Link(uuid.UUID(hex=name), int(found["part"]) if found["part"] else None) if found and name else None
