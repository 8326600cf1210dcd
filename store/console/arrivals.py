"""Files that a browser wants to send: what is wrong with them, which can be gone on with, and the commit that they become."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from django.conf import settings
from django.core.files.storage import default_storage
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from inference.manifest import MAX_FILES, MAX_TEXT_BYTES, check_path
from store.accounts.models import Organization, User
from store.catalog.actions.repositories import CARD, AddFile, DeleteFile, commit_files, files_at
from store.catalog.card import CardError, read_metadata
from store.catalog.models import Blob, Commit, Listing
from store.catalog.storage import has_blobs
from store.console.card_edit import open_card
from store.console.figures import short_bytes
from store.console.front_matter import licence_keys, with_keys
from store.console.wizard import head_of
from store.errors import InvalidRequest
from store.uploads.actions import CONVERTIBLE, store_bytes
from store.uploads.links import upload_path
from store.uploads.models import Upload

UNFINISHED_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Arrival:
    """A file by name and size, in bytes."""

    path: str
    size: int


def arrivals_in(said: dict[str, Any]) -> list[Arrival]:
    """Raises InvalidRequest where ``files`` is not a list of paths and sizes."""
    files = _entries(said)
    if not all(isinstance(each.get("path"), str) and type(each.get("size")) is int for each in files):
        raise InvalidRequest(_("Each file has a path and a size."), param="files")
    return [Arrival(each["path"], each["size"]) for each in files]


def additions_in(said: dict[str, Any]) -> list[AddFile]:
    """Raises InvalidRequest where ``files`` is not a list of paths and digests."""
    files = _entries(said)
    if not files or not all(
        isinstance(each.get("path"), str) and isinstance(each.get("sha256"), str) for each in files
    ):
        raise InvalidRequest(_("Each file has a path and a sha256."), param="files")
    return [AddFile(each["path"], each["sha256"]) for each in files]


def look(organization: Organization, arrivals: Sequence[Arrival]) -> list[dict[str, Any]]:
    """What can be said before a byte is sent, for each file in its order; ``unfinished`` is an upload of it that waits for more."""
    begun = {
        (upload.path, upload.size): {"url": upload_path(upload), "sha256": upload.sha256}
        for upload in Upload.objects.unfinished().filter(organization=organization, part_size=None).exclude(sha256="")
    }
    return [
        {"path": each.path, "problem": _problem(each), "convertible": is_convertible(each.path),
         "unfinished": begun.get((each.path, each.size))}
        for each in arrivals
    ]  # fmt: skip


def is_convertible(path: str) -> bool:
    """By its name: weights in a pickle; of what training left behind the only remedy is to leave it out."""
    problem = check_path(PurePosixPath(path).name)
    has_remedy = problem is not None and problem.code == "pickle" and "\n" in problem.message
    return has_remedy and PurePosixPath(path).suffix in CONVERTIBLE


def commit_arrivals(
    *, listing: Listing, user: User, files: Sequence[AddFile], title: str, is_replacing: bool
) -> Commit:
    """One commit on main. Replacing takes away what is not among ``files``; the card stays, and so does its licence.

    Not inside a transaction. Raises what ``commit_files`` and ``store_bytes`` raise.
    """
    head = head_of(listing)
    new = {file.path for file in files} | {CARD}
    gone = [DeleteFile(old.path) for old in files_at(head) if old.path not in new] if head and is_replacing else []
    said = title or ngettext("Upload %(path)s", "Upload %(count)d files", len(files)) % {
        "path": files[0].path, "count": len(files),
    }  # fmt: skip
    added = [_licensed(listing, user, file) if file.path == CARD else file for file in files]
    kept = _("README.md said no licence: the one from before was written into it.") if added != [*files] else ""
    return commit_files(listing=listing, user=user, changes=[*gone, *added], title=said, message=kept)


def unfinished(organization: Organization, user: User) -> list[Upload]:
    """The person's own uploads that can be gone on with, the newest first."""
    mine = Upload.objects.unfinished().filter(organization=organization, user=user, part_size=None)
    return list(mine[:UNFINISHED_SHOWN])


def _licensed(listing: Listing, user: User, card: AddFile) -> AddFile:
    """A card that does not say its licence gets the one from before: it was chosen, and nothing is published without."""
    organization = listing.organization
    blob = Blob.objects.filter(pk__in=has_blobs(organization, [card.sha256]), size__lte=MAX_TEXT_BYTES).first()
    if blob is None:  # `commit_files` says what is wrong with it
        return card
    with default_storage.open(blob.storage_name) as source:
        text = source.read().decode(errors="replace")
    licence = licence_keys(open_card(listing).text) or {"license": listing.licence}
    try:
        if not licence["license"] or read_metadata(text).get("license"):
            return card
    except CardError:
        return card
    data = with_keys(text, licence).encode()
    return AddFile(CARD, store_bytes(organization=organization, user=user, path=CARD, data=data).sha256)


def _problem(arrival: Arrival) -> str:
    problem = check_path(arrival.path)
    return problem.message if problem else size_problem(arrival)


def size_problem(arrival: Arrival) -> str:
    """Empty where the size is good."""
    if not 0 <= arrival.size <= settings.MAX_FILE_BYTES:
        most = short_bytes(settings.MAX_FILE_BYTES)
        return str(_("%(path)s is too large: a file has %(most)s at most.") % {"path": arrival.path, "most": most})
    return ""


def _entries(said: dict[str, Any]) -> list[dict[str, Any]]:
    files = said.get("files")
    if not isinstance(files, list) or not all(isinstance(each, dict) for each in files):
        raise InvalidRequest(_("`files` is a list."), param="files")
    if len(files) > MAX_FILES:
        message = _("There are %(count)d files; a model has %(most)d at most.")
        raise InvalidRequest(message % {"count": len(files), "most": MAX_FILES}, param="files")
    return files
