"""Repositories: the files of a listing as commits on branches, as the Hub's clients know them.

Whoever changes a repository holds the lock of its listing's row, so the commits of a branch are one line, however many push at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from django.core.files.storage import default_storage
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from inference.manifest import MAX_TEXT_BYTES, FileEntry, Problem, check_path, check_paths, release_digest
from store.accounts.models import Organization, User
from store.catalog import storage
from store.catalog.actions.commits import (
    MAX_MESSAGE,
    MAX_TITLE,
    AddFile,
    BranchMoved,
    Change,
    CommitRefused,
    CopyFile,
    DeleteFile,
    FileMissing,
    Files,
    RevisionMissing,
    delete_file,
    files_at,
    is_ignored,
    write_commit,
)
from store.catalog.actions.imports import cancel_imports
from store.catalog.actions.lineage import find_base_listing
from store.catalog.actions.listings import SLUG, withdraw_listing
from store.catalog.actions.permission import check_publisher, locked
from store.catalog.actions.submissions import cancel_submission
from store.catalog.card import CardError, read_card
from store.catalog.models import (
    CALLABLE,
    OPEN_SUBMISSION,
    Blob,
    Commit,
    Listing,
    ListingStatus,
    OrganizationBlob,
    Ref,
    RefKind,
)
from store.errors import Conflict, InvalidRequest, PermissionDenied

__all__ = [
    "AddFile", "BranchMoved", "CommitRefused", "CopyFile", "DeleteFile", "FileMissing", "RevisionMissing", "commit_at",
    "commit_files", "create_branch", "create_listing", "create_tag", "delete_listing", "delete_ref", "files_at",
    "replace_files",
]  # fmt: skip

MAIN = "main"
CARD = "README.md"
MAX_SLUG = 96
MAX_LISTING_TITLE = 150
FIRST_TITLE = "initial commit"
DEFAULT_TITLE = "Upload"
SHORT_OID = 7  # digits of a parent that are enough
OID = re.compile(r"[0-9a-f]{40}")
DIGEST = re.compile(r"(?:sha256:)?([0-9a-f]{40}|[0-9a-f]{64})")
REF_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")


class ListingExists(Conflict):
    """The organization has a listing of this name."""

    code = "listing_exists"
    default_message = "You already created this model repo."


class RefExists(Conflict):
    """The repository has a branch or tag of this name."""

    code = "ref_exists"


class MainStays(PermissionDenied):
    """The branch from which releases are made cannot be deleted."""

    code = "main_stays"
    default_message = "The branch main cannot be deleted."


@transaction.atomic
def create_listing(
    *, organization: Organization, user: User | None, slug: str, is_private: bool = True, title: str = ""
) -> Listing:
    """A draft with an empty repository. A deleted one of the same name comes back: emptied, and in the standing that it had.

    Raises NotFound, NotAProvider, InvalidRequest (``name``), ListingExists.
    """
    check_publisher(organization, user)
    if not SLUG.fullmatch(slug) or len(slug) > MAX_SLUG:
        message = _(
            "A model's name has small letters, digits and single dashes or underscores between them, %d at most."
        )
        raise InvalidRequest(message % MAX_SLUG, param="name")
    shown = {"title": title[:MAX_LISTING_TITLE] or slug, "is_private": is_private}
    listing, is_new = Listing.objects.get_or_create(organization=organization, slug=slug, defaults=shown)
    if not is_new:
        _revive(listing, shown)
    locked(listing, user)
    _move(listing, MAIN, None, write_commit(listing=listing, user=user, parent=None, files={}, title=FIRST_TITLE))
    return listing


def _revive(listing: Listing, shown: dict[str, Any]) -> None:
    """Raises ListingExists where it was not deleted."""
    row = Listing.objects.select_for_update(of=("self",), no_key=True).select_related("organization").get(pk=listing.pk)
    if row.deleted_at is None:
        raise ListingExists
    storage.lock_storage(row.organization)  # what is kept now stays, for the listing is alive when this ends
    release = row.current_release
    if release and not storage.is_kept(row.organization_id, release.files.all()):
        shown = {**shown, "current_release": None}  # it cannot be published as it was: its content has been collected
    Listing.objects.filter(pk=row.pk).update(**shown, deleted_at=None)
    listing.refresh_from_db()


@transaction.atomic
def delete_listing(*, listing: Listing, user: User) -> None:
    """Takes the listing off the shelf and hides it: its name stays its organization's, its releases stay for the books, and calls
    that are under way end. Content that nothing else holds is collected after UPLOAD_EXPIRES_S (``store.catalog.keepers``).

    Raises NotFound, and NotInThisState where others have keys for it: it is deprecated with a date first.
    """
    row = locked(listing, user)
    for submission in row.submissions.filter(status__in=OPEN_SUBMISSION):
        cancel_submission(submission=submission, user=user)
    cancel_imports(row)
    if row.status in CALLABLE:  # what is suspended stays suspended: deleting it is no way round a moderator
        withdraw_listing(listing=row, user=user)
    row.refs.all().delete()
    Listing.objects.filter(pk=row.pk).update(deleted_at=timezone.now())


def commit_files(
    *,
    listing: Listing,
    user: User | None,
    changes: Sequence[Change],
    title: str,
    message: str = "",
    branch: str = MAIN,
    parent_oid: str | None = None,
) -> Commit:
    """Applies all changes, or none, on top of the branch; the branch's commit as it is, where they change nothing.

    Every added content must be one that ``storage.has_blobs`` allows. With ``parent_oid`` (at least its first 7 digits) the branch
    must be there still. A draft takes what it says of itself from README.md on ``main``. Raises NotFound, RevisionMissing (no such
    branch), BranchMoved, CommitRefused, FileMissing, QuotaExceeded, InvalidRequest.
    """
    title = title.strip()[:MAX_TITLE] or DEFAULT_TITLE
    if "\0" in title + message or len(message) > MAX_MESSAGE:
        raise InvalidRequest(_("A commit's description has %d characters at most.") % MAX_MESSAGE, param="description")
    with transaction.atomic():
        locked(listing, user)
        ref = listing.refs.filter(kind=RefKind.BRANCH, name=branch).select_related("commit").first()
        if ref is None and branch != MAIN:
            raise RevisionMissing(_("There is no branch %s.") % branch)
        head = ref.commit if ref else None
        if parent_oid and not (head and len(parent_oid) >= SHORT_OID and head.oid.startswith(parent_oid)):
            raise BranchMoved
        before = {file.path: file for file in files_at(head)} if head else {}
        files = _changed(listing, before, changes)
        if head and files == before:
            return head
        problems = check_paths(files)
        if problems:
            raise CommitRefused(problems)
        _adopt(listing.organization, files.values())
        commit = write_commit(listing=listing, user=user, parent=head, files=files, title=title, message=message)
        _move(listing, branch, ref, commit)
    if branch == MAIN and files.get(CARD) != before.get(CARD):
        take_card(listing, commit)
    return commit


def replace_files(
    *, listing: Listing, user: User | None, files: Iterable[FileEntry], title: str, branch: str = MAIN
) -> Commit:
    """A commit of exactly these files on the branch, which is made where it is not there. The organization keeps their blobs, and
    nobody's permission is asked for. Inside a transaction that has the listing's row locked.
    """
    ref = listing.refs.filter(kind=RefKind.BRANCH, name=branch).select_related("commit").first()
    wanted = {file.path: file for file in files}
    if ref and ref.commit.digest == release_digest(wanted.values()):
        return ref.commit
    commit = write_commit(listing=listing, user=user, parent=ref.commit if ref else None, files=wanted, title=title)
    _move(listing, branch, ref, commit)
    return commit


@transaction.atomic
def create_branch(*, listing: Listing, user: User, name: str, revision: str = "") -> Ref:
    """A branch that begins at a revision; at ``main`` where none is given. Raises NotFound, RevisionMissing, RefExists, InvalidRequest."""
    return _make_ref(listing, user, RefKind.BRANCH, name, revision or MAIN, "")


@transaction.atomic
def create_tag(*, listing: Listing, user: User, name: str, revision: str = MAIN, message: str = "") -> Ref:
    """A tag, which stays where it is. Raises NotFound, RevisionMissing, RefExists, InvalidRequest."""
    return _make_ref(listing, user, RefKind.TAG, name, revision, message[:MAX_TITLE])


@transaction.atomic
def delete_ref(*, listing: Listing, user: User, kind: RefKind, name: str) -> None:
    """Takes a branch or a tag away; its commits stay. Raises NotFound, RevisionMissing, MainStays."""
    locked(listing, user)
    if kind == RefKind.BRANCH and name == MAIN:
        raise MainStays
    gone, _of_each = listing.refs.filter(kind=kind, name=name).delete()
    if not gone:
        raise RevisionMissing(_("There is no %(kind)s %(name)s.") % {"kind": kind.value, "name": name})


def commit_at(listing: Listing, revision: str) -> Commit | None:
    """What a branch, a tag, a commit's 40 digits or a release's digest (whole, with or without "sha256:", or its first 40 digits) is.

    None where it is nothing, or was deleted with the listing before that came back, and its content has been collected.
    """
    if "\0" in revision:
        return None
    refs = {ref.kind: ref for ref in listing.refs.filter(name=revision).select_related("commit")}
    ref = refs.get(RefKind.BRANCH) or refs.get(RefKind.TAG)
    if ref:
        return ref.commit
    found = _named_commit(listing, revision)
    return found if found and storage.is_kept(listing.organization_id, found.files.all()) else None


def _named_commit(listing: Listing, revision: str) -> Commit | None:
    commits = listing.commits.order_by("-id")
    found = commits.filter(oid=revision).first() if OID.fullmatch(revision) else None
    digest = DIGEST.fullmatch(revision)
    if found or not digest:
        return found
    release = listing.releases.filter(digest__startswith=f"sha256:{digest[1]}").select_related("commit").first()
    if release is None:
        return None
    return release.commit or commits.filter(digest=release.digest).first()


def take_card(listing: Listing, commit: Commit) -> None:
    """A draft says of itself what README.md of the commit says; what that leaves out stays as it was, and so does a title that its
    maker chose. A card that cannot be read changes nothing: the checks will say so.
    """
    file = commit.files.filter(path=CARD).select_related("blob").first()
    if file is None or file.blob.size > MAX_TEXT_BYTES:
        return
    with default_storage.open(file.blob.storage_name) as source:
        text = source.read().decode(errors="replace")
    try:
        card = read_card(text)
    except CardError:
        return
    base = find_base_listing(listing, card.base_model)
    said = {
        "title": card.title if listing.title == listing.slug else "",
        "summary": card.summary,
        "licence": card.licence,
        "tags": list(card.tags),
        "languages": list(card.languages),
        "task": card.pipeline_tag,
        "base": base,
        "base_relation": card.base_model_relation if base else "",
    }
    shown = {name: value for name, value in said.items() if value}
    if shown:
        Listing.objects.filter(pk=listing.pk, status=ListingStatus.DRAFT).update(**shown)
        listing.refresh_from_db()


def _move(listing: Listing, branch: str, ref: Ref | None, commit: Commit) -> None:
    """The branch is at this commit now; it is made where it was not. Raises BranchMoved where it is no more where ``ref`` says."""
    if ref is None:
        Ref.objects.create(listing=listing, kind=RefKind.BRANCH, name=branch, commit=commit)
    elif Ref.objects.filter(pk=ref.pk, commit=ref.commit_id).update(commit=commit) != 1:
        raise BranchMoved


def _changed(listing: Listing, before: Files, changes: Sequence[Change]) -> dict[str, FileEntry]:
    """The files after the changes, one after the other. Raises CommitRefused, FileMissing, RevisionMissing."""
    added = {change.sha256 for change in changes if isinstance(change, AddFile)}
    usable = storage.has_blobs(listing.organization, added)
    sizes = dict(Blob.objects.filter(pk__in=usable).values_list("sha256", "size"))
    files, problems = dict(before), []
    for change in changes:
        if isinstance(change, DeleteFile):
            delete_file(files, change.path)
        elif isinstance(change, CopyFile):
            source = _copied(listing, before, change)
            files[change.path] = FileEntry(change.path, source.size, source.sha256)
        elif is_ignored(change.path):
            continue
        elif change.sha256 in sizes:
            files[change.path] = FileEntry(change.path, sizes[change.sha256], change.sha256)
        else:
            message = f"The content of {change.path} has not arrived; upload it again."
            problems.append(check_path(change.path) or Problem(change.path, "not_uploaded", message))
    if problems:
        raise CommitRefused(problems)
    return files


def _copied(listing: Listing, before: Files, change: CopyFile) -> FileEntry:
    if change.revision:
        commit = commit_at(listing, change.revision)
        if commit is None:
            raise RevisionMissing(_("There is no revision %s.") % change.revision)
        before = {file.path: file for file in files_at(commit)}
    if change.source not in before:
        raise FileMissing(_("A file with this name doesn't exist: %s") % change.source)
    return before[change.source]


def _adopt(organization: Organization, files: Iterable[FileEntry]) -> None:
    """Content of others' open releases counts as the organization's own from now on. Raises QuotaExceeded."""
    sizes = {file.sha256: file.size for file in files}
    own = OrganizationBlob.objects.filter(organization=organization, blob__in=sizes).values_list("blob_id", flat=True)
    for sha256 in sorted(sizes.keys() - set(own)):  # one order of locks for all
        storage.keep_blob(organization=organization, sha256=sha256, size=sizes[sha256], reserved=0)


def _make_ref(listing: Listing, user: User, kind: RefKind, name: str, revision: str, message: str) -> Ref:
    if not REF_NAME.fullmatch(name) or DIGEST.fullmatch(name) or ".." in name:
        message = _(
            "A branch or tag is named with letters, digits, dots, dashes and underscores, and not like a commit."
        )
        raise InvalidRequest(message, param="name")
    locked(listing, user)
    commit = commit_at(listing, revision)
    if commit is None:
        raise RevisionMissing(_("There is no revision %s.") % revision)
    if listing.refs.filter(kind=kind, name=name).exists():
        raise RefExists(_("There is a %(kind)s %(name)s.") % {"kind": kind.value, "name": name})
    return Ref.objects.create(listing=listing, kind=kind, name=name, commit=commit, message=message)
