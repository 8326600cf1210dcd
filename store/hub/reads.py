"""Which release a request of the Hub protocol means, and whether its sender may have it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from django.http import HttpRequest

from store.catalog.models import Blob, Listing, Release, ReleaseFile
from store.errors import NotFound, StoreError
from store.hub.tokens import read_release_token

COMMIT_CHARS = 40  # the Hub's revisions are Git commits; ours is the beginning of the release's digest
REVISION = re.compile(r"(?:sha256:)?([0-9a-f]{40,64})")
MAIN = "main"


class TokenRequired(StoreError):
    """No token, or one that is forged or expired."""

    code = "hub_token_required"
    status = 401
    default_message = "The files of a model are for its owner and for the workers that serve it."


@dataclass(frozen=True, slots=True)
class HubFile:
    """A file of a release, its content named by SHA-256; ``size`` is in bytes."""

    path: str
    sha256: str
    size: int


def commit_of(release: Release) -> str:
    """The revision by which the Hub's clients know a release: they take 40 hex digits for a fixed commit."""
    return release.digest.removeprefix("sha256:")[:COMMIT_CHARS]


def open_release(request: HttpRequest, repo: str, revision: str) -> Release:
    """The release, for the bearer of its token or a signed-in member of its organization. Raises TokenRequired and NotFound."""
    token = request.headers.get("Authorization", "").removeprefix("Bearer ").strip()
    if token:
        granted = read_release_token(token)
        if granted is None:
            raise TokenRequired("The token is not valid, or has expired.")
        release = _find(repo, revision)
        if release is None or release.pk != granted:
            raise NotFound("There is no such release.")
        return release
    if not request.user.is_authenticated:
        raise TokenRequired
    release = _find(repo, revision)
    if release is None or not release.listing.organization.memberships.filter(user_id=request.user.pk).exists():
        raise NotFound("There is no such release.")
    return release


def _find(repo: str, revision: str) -> Release | None:
    listing = Listing.objects.named(repo).select_related("organization").first()
    if listing is None:
        return None
    if revision == MAIN:
        found = listing.releases.filter(pk=listing.current_release_id or 0)
    else:
        match = REVISION.fullmatch(revision)
        found = listing.releases.filter(digest__startswith=f"sha256:{match[1]}") if match else listing.releases.none()
    return found.select_related("listing__organization").first()


def files_of(release: Release) -> list[HubFile]:
    """Every file, by path."""
    rows = release.files.order_by("path").values_list("path", "blob_id", "blob__size")
    return [HubFile(*row) for row in rows]


def file_of(release: Release, path: str) -> HubFile:
    """Raises NotFound."""
    row = ReleaseFile.objects.filter(release=release, path=path).values_list("path", "blob_id", "blob__size").first()
    if row is None:
        raise NotFound(f"There is no file {path!r} in this release.")
    return HubFile(*row)


def storage_name(file: HubFile) -> str:
    """Where the default storage keeps the file's content."""
    return Blob(sha256=file.sha256).storage_name
