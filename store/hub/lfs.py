"""Git LFS: which objects are to be sent, and where to (https://github.com/git-lfs/git-lfs/blob/main/docs/api/batch.md).

An object that is large is sent in parts, as the Hub's clients know it: the batch names an address for each part in ``header``, and
``href`` is where they say that all parts are there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest

from store.accounts.models import User
from store.catalog.models import Blob, OrganizationBlob
from store.catalog.storage import has_blobs
from store.errors import InvalidRequest, NotFound, StoreError
from store.hub.reads import Repository
from store.uploads.actions import begin_upload
from store.uploads.links import PREFIX, read_link, upload_path
from store.uploads.models import Upload

MEDIA_TYPE = "application/vnd.git-lfs+json"
MULTIPART_FROM_BYTES = 4 * 1024**3  # less goes in one request, whose bytes are hashed while they come
PART_BYTES = 256 * 1024**2
MAX_OBJECTS = 1_000
OID = re.compile(r"[0-9a-f]{64}")


class ObjectMissing(NotFound):
    """The organization has no such content."""

    code = "lfs_object_missing"


@dataclass(frozen=True, slots=True)
class LfsObject:
    """Content by its SHA-256; ``size`` in bytes."""

    oid: str
    size: int


def read_objects(body: dict[str, Any]) -> list[LfsObject]:
    """Raises InvalidRequest."""
    if body.get("hash_algo", "sha256") != "sha256":
        raise InvalidRequest("Objects are named by their SHA-256.", param="hash_algo")
    asked = body.get("objects")
    if not isinstance(asked, list) or not 0 < len(asked) <= MAX_OBJECTS:
        raise InvalidRequest(f"`objects` is a list of 1 to {MAX_OBJECTS}.", param="objects")
    return [read_object(each) for each in asked]


def read_object(said: Any) -> LfsObject:
    """Raises InvalidRequest."""
    oid, size = (said.get("oid"), said.get("size")) if isinstance(said, dict) else (None, None)
    if not isinstance(oid, str) or not OID.fullmatch(oid) or type(size) is not int or size < 0:
        raise InvalidRequest("An object has an `oid`, 64 hexadecimal digits, and a `size` in bytes.", param="objects")
    return LfsObject(oid, size)


def upload_actions(
    request: HttpRequest, repository: Repository, user: User, objects: list[LfsObject], *, in_parts: bool
) -> list[Any]:
    """For each object what to do; nothing for one that is here. What cannot be taken has an ``error`` of its own."""
    here = has_blobs(repository.listing.organization, {each.oid for each in objects})
    made = []
    for each in objects:
        entry: dict[str, Any] = {"oid": each.oid, "size": each.size, "authenticated": True}
        if each.oid not in here:
            try:
                upload = _upload(repository, user, each, in_parts=in_parts)
                entry["actions"] = _actions(request, repository, upload)
            except StoreError as error:
                entry["error"] = {"code": error.status, "message": error.message}
        made.append(entry)
    return made


def kept(repository: Repository, asked: LfsObject) -> Blob:
    """The content that was sent. Raises ObjectMissing."""
    own = OrganizationBlob.objects.filter(organization=repository.listing.organization, blob=asked.oid)
    row = own.select_related("blob").first()
    if row is None or row.blob.size != asked.size:
        raise ObjectMissing(f"The object {asked.oid} has not arrived whole: send it again.")
    return row.blob


def signed_name(upload: Upload) -> str:
    """Names an upload to who was given its link, and to nobody else."""
    return upload_path(upload).removeprefix(PREFIX)


def read_signed_name(name: str) -> Any:
    """The upload's id. Raises ObjectMissing where the name was not made here."""
    link = read_link(PREFIX + name)
    if link is None or link.part is not None:
        raise ObjectMissing("There is no such upload.")
    return link.upload_id


def _upload(repository: Repository, user: User, each: LfsObject, *, in_parts: bool) -> Upload:
    """The one that was begun before, by a client that was interrupted, or a new one."""
    organization = repository.listing.organization
    part_size = PART_BYTES if in_parts and each.size > MULTIPART_FROM_BYTES else None
    begun = organization.uploads.unfinished().filter(sha256=each.oid, size=each.size, part_size=part_size).first()
    # The batch does not say under which name the content will be committed; the commit checks that.
    path = f"{each.oid}.safetensors"
    return begun or begin_upload(
        organization=organization, user=user, path=path, size=each.size, sha256=each.oid, part_size=part_size
    )


def _actions(request: HttpRequest, repository: Repository, upload: Upload) -> dict[str, Any]:
    def address(path: str) -> str:
        return request.build_absolute_uri(path)

    objects = f"/{repository.name}.git/info/lfs/objects"
    verify = {"href": address(f"{objects}/verify")}
    if not upload.part_size:
        return {"upload": {"href": address(upload_path(upload))}, "verify": verify}
    header = {f"{number:05d}": address(upload_path(upload, number)) for number in range(1, upload.parts + 1)}
    header["chunk_size"] = str(upload.part_size)
    return {
        "upload": {"href": address(f"{objects}/complete/{signed_name(upload)}"), "header": header},
        "verify": verify,
    }
