"""What a commit is made of: its changes, the rules for the files of a repository, its name, and the rows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from django.utils.translation import gettext as _

from inference.manifest import IGNORED, FileEntry, Problem, release_digest
from store.accounts.models import User
from store.catalog.models import Commit, CommitFile, Listing
from store.errors import Conflict, NotFound, StoreError

MAX_TITLE = 500
MAX_MESSAGE = 65_536
SHOWN_PROBLEMS = 10  # sentences of one refusal; the others are in `problems`
Files = Mapping[str, FileEntry]  # path -> file


class CommitRefused(StoreError):
    """The files cannot be in a repository; ``problems`` says why, each with what to do. Nothing was changed."""

    code: ClassVar[str] = "commit_refused"

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(problem.message for problem in problems[:SHOWN_PROBLEMS]))
        self.problems = tuple(problems)


class BranchMoved(Conflict):
    """Somebody else committed meanwhile."""

    code = "branch_moved"
    status = 412
    default_message = "A commit has happened since. Please refresh and try again."


class FileMissing(NotFound):
    """The commit is there, the file is not."""

    code = "file_not_found"


class RevisionMissing(NotFound):
    """The repository is there, the branch, tag or commit is not."""

    code = "revision_not_found"


@dataclass(frozen=True, slots=True)
class AddFile:
    """This content, sent before, at this path: a new file, or one in the place of the old."""

    path: str
    sha256: str


@dataclass(frozen=True, slots=True)
class CopyFile:
    """The file that is at ``source`` before this commit, at ``path`` too. ``revision`` "" is the branch that is committed to."""

    source: str
    path: str
    revision: str = ""


@dataclass(frozen=True, slots=True)
class DeleteFile:
    """Not there any more; a path that ends with a slash is a folder, and "/" is everything."""

    path: str


Change = AddFile | CopyFile | DeleteFile


def files_at(commit: Commit) -> list[FileEntry]:
    """Every file of a commit, by path."""
    rows = commit.files.order_by("path").values_list("path", "blob__size", "blob_id")
    return [FileEntry(*row) for row in rows]


def commit_oid(*, parent: str, digest: str, title: str, message: str) -> str:
    """40 hex digits: the beginning of the SHA-256 of what the commit says. The same words on the same files are the same commit."""
    document = json.dumps(["gpt-store commit 1", parent, digest, title, message])
    return hashlib.sha256(document.encode()).hexdigest()[:40]


def delete_file(files: dict[str, FileEntry], path: str) -> None:
    """Takes a file, or a folder with all that is in it, out of ``files``. Raises FileMissing."""
    if path.endswith("/"):
        folder = path.removeprefix("/")
        gone = [name for name in files if name.startswith(folder)]
    else:
        gone = [path] if path in files else []
    if not gone:
        raise FileMissing(_("A file with this name doesn't exist: %s") % path)
    for name in gone:
        del files[name]


def is_ignored(path: str) -> bool:
    """Git's own files may be sent by clients, and are never kept."""
    return any(part in IGNORED for part in path.split("/"))


def write_commit(
    *, listing: Listing, user: User | None, parent: Commit | None, files: Files, title: str, message: str = ""
) -> Commit:
    """The rows of a commit; those that are there already, where exactly this was committed before. No branch moves."""
    digest = release_digest(files.values())
    oid = commit_oid(parent=parent.oid if parent else "", digest=digest, title=title, message=message)
    commit, is_new = Commit.objects.get_or_create(
        listing=listing,
        oid=oid,
        defaults={
            "parent": parent,
            "digest": digest,
            "title": title,
            "message": message,
            "size": sum(file.size for file in files.values()),
            "author": user,
        },
    )
    if is_new:
        CommitFile.objects.bulk_create(
            CommitFile(commit=commit, path=path, blob_id=file.sha256) for path, file in files.items()
        )
    return commit
