"""Which repository a request of the Hub protocol means, what of it its sender may see, and what they may download."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import ClassVar

from django.contrib.auth.models import AnonymousUser
from django.db.models import Q, QuerySet
from django.http import HttpRequest

from inference.manifest import HELD_OUT, FileEntry, is_image
from store.accounts.models import TokenScope, User
from store.catalog.actions.permission import PUBLISHING_ROLES
from store.catalog.actions.repositories import FileMissing, RevisionMissing, commit_at, files_at
from store.catalog.models import AccessRequest, Blob, Commit, Listing, Ref, Release, SubmissionStatus, Weights
from store.errors import NotFound, PermissionDenied
from store.hub.callers import Caller, TokenRequired, caller_of

MAIN = "main"
# What everybody who sees the listing may read, whoever may download the weights; images, too.
SHOWN = ("README.md", "config.json", "LICENSE", "LICENSE.*")


class RepositoryMissing(NotFound):
    """There is no such listing, or not for this caller."""

    code = "repository_not_found"
    default_message = "Repository not found"


class FilesGated(PermissionDenied):
    """The listing may be seen and called, its files are not for this caller."""

    code: ClassVar[str] = "hub_files_gated"


class MayNotWrite(PermissionDenied):
    """The repository is another organization's, or the member's role only reads."""

    code = "hub_may_not_write"


@dataclass(frozen=True, slots=True)
class Repository:
    """A listing as its caller may see it. ``release`` is the one that a worker's token opens: nothing else of it is seen."""

    listing: Listing
    caller: Caller
    is_member: bool
    release: Release | None = None

    @property
    def name(self) -> str:
        return self.listing.name

    @property
    def sees_all(self) -> bool:
        """Members and workers see every file of what they see."""
        return self.is_member or self.release is not None

    def commit(self, revision: str) -> Commit:
        """What the revision is for this caller: drafts are their makers', others see what was published. Raises RevisionMissing."""
        found = commit_at(self.listing, revision) if self.is_member else self._published(revision)
        if found is None:
            raise RevisionMissing(f"There is no revision {revision[:100]!r}.")
        return found

    def files(self, commit: Commit) -> list[FileEntry]:
        """The files of a commit that this caller may know of, by path. Who could read a provider's own test text could train on it."""
        return [file for file in files_at(commit) if self.sees_all or file.path != HELD_OUT]

    def file(self, commit: Commit, path: str) -> FileEntry:
        """A file that this caller may download. Raises FileMissing and FilesGated."""
        row = None if "\0" in path else commit.files.filter(path=path).select_related("blob").first()
        if row is None or (path == HELD_OUT and not self.sees_all):
            raise FileMissing(f"There is no file {path[:200]!r} in this revision.")
        self.check_download(path)
        return FileEntry(path, row.blob.size, row.blob_id)

    def check_download(self, path: str = "") -> None:
        """Whether the caller may have the file; without a path, every file. Raises FilesGated, and TokenRequired of strangers."""
        weights = self.listing.weights
        shown = is_image(path) or any(fnmatchcase(path, pattern) for pattern in SHOWN)
        if self.sees_all or shown or weights == Weights.OPEN:
            return
        if weights == Weights.CLOSED:
            raise FilesGated(f"{self.name} is called here and is not for download: its provider keeps the weights.")
        user = self.caller.user
        if not user or not AccessRequest.objects.opening(user).filter(listing=self.listing).exists():
            raise FilesGated(f"Access to {self.name} is given on request: ask for it on its page, signed in.")

    def refs(self) -> list[Ref]:
        """Branches and tags that this caller may know of. For others than members ``main`` is what was published."""
        found = list(self.listing.refs.select_related("commit").order_by("name"))
        if self.is_member:
            return found
        shown = [(ref, self._published(ref.name)) for ref in found]
        return [Ref(kind=ref.kind, name=ref.name, commit=commit) for ref, commit in shown if commit]

    def _published(self, revision: str) -> Commit | None:
        release = self.release or self.listing.current_release
        current = release_commit(release) if release else None
        if revision == MAIN:
            return current
        found = commit_at(self.listing, revision)
        if found is None or (current and found.digest == current.digest):
            return found
        if self.release or not published_releases(self.listing).filter(digest=found.digest).exists():
            return None
        return found


def open_repository(request: HttpRequest, repo: str, *, write: bool = False) -> Repository:
    """The repository ``organization/slug`` for the sender of this request.

    Raises BadCredentials, RepositoryMissing, TokenRequired (a stranger asks for what they do not see, or writes), ScopeMissing,
    MayNotWrite.
    """
    caller = caller_of(request)
    if caller.release_id is not None:
        return _opened_by_worker(caller, repo, write)
    user = caller.require(TokenScope.WRITE) if write else _reader(caller)
    found = Listing.objects.visible_to(user or AnonymousUser()).named(repo)
    listing = found.select_related("organization", "current_release__commit", "base__organization").first()
    if listing is None:
        raise RepositoryMissing if user else TokenRequired
    role = user and listing.organization.memberships.filter(user=user).values_list("role", flat=True).first()
    if write and role not in PUBLISHING_ROLES:
        raise MayNotWrite(f"You may not write to {listing.name}.")
    return Repository(listing, caller, is_member=bool(role))


def release_commit(release: Release) -> Commit | None:
    """The commit that a release was made of: the same files."""
    return release.commit or Commit.objects.filter(listing=release.listing_id, digest=release.digest).first()


def published_releases(listing: Listing) -> QuerySet[Release]:
    """Those that everybody was shown once, by a submission or by the store's operator."""
    return listing.releases.filter(Q(submissions__status=SubmissionStatus.PUBLISHED) | Q(submissions=None))


def storage_name(file: FileEntry) -> str:
    """Where the default storage keeps the file's content."""
    return Blob(sha256=file.sha256).storage_name


def _reader(caller: Caller) -> User | None:
    return caller.require(TokenScope.READ) if caller.user else None


def _opened_by_worker(caller: Caller, repo: str, write: bool) -> Repository:
    """A listing that was deleted is opened too: calls that are under way end."""
    release = (
        Release.objects.select_related("listing__organization", "commit").filter(pk=caller.release_id or 0).first()
    )
    if release is None or release.listing.name != repo or write:
        raise RepositoryMissing
    return Repository(release.listing, caller, is_member=False, release=release)
