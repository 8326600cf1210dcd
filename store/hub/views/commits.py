"""What changes files: which way each is to be sent, and the commit itself."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse

from inference.manifest import FileEntry, Problem, check_path, check_start
from store.accounts.models import TokenScope
from store.catalog.actions.commits import is_ignored
from store.catalog.actions.repositories import AddFile, CommitRefused, DeleteFile, RevisionMissing, commit_files
from store.errors import InvalidRequest
from store.hub.operations import Deletion, Header, LargeFile, RegularFile, read_operations
from store.hub.reads import MAIN, Repository, open_repository
from store.hub.rendering import hub_view, read_json, text_of
from store.hub.views.repositories import NotOffered
from store.uploads.actions import store_bytes

# A file in the commit's body is base64, and read again from its start when the request is repeated: larger ones are sent on their own.
LARGE_BYTES = 1024 * 1024
LARGE_NAMES = (".safetensors", ".png", ".jpg", ".jpeg", ".webp", ".gif", ".model")
MAX_ASKED = 1_000


@hub_view("POST")
def preupload(request: HttpRequest, repo: str, revision: str) -> HttpResponse:
    """Refuses what can never be in a repository before a byte of it is sent, and says which way the rest goes."""
    repository = open_repository(request, repo, write=True)
    _refuse_pull_request(request)
    asked = read_json(request).get("files")
    if not isinstance(asked, list) or not 0 < len(asked) <= MAX_ASKED or not all(isinstance(f, dict) for f in asked):
        raise InvalidRequest(f"`files` is a list of 1 to {MAX_ASKED} objects.", param="files")
    problems = [problem for file in asked if (problem := _check(file))]
    if problems:
        raise CommitRefused(problems)
    there = {file.path: file for file in _files(repository, revision)}
    return JsonResponse({"files": [_mode(text_of(file, "path"), file.get("size"), there) for file in asked]})


@hub_view("POST")
def commit(request: HttpRequest, repo: str, revision: str) -> HttpResponse:
    repository = open_repository(request, repo, write=True)
    _refuse_pull_request(request)
    header, changes = _changes(request, repository)
    made = commit_files(
        listing=repository.listing,
        user=repository.caller.require(TokenScope.WRITE),
        changes=changes,
        title=header.title,
        message=header.description,
        branch=revision,
        parent_oid=header.parent or None,
    )
    url = request.build_absolute_uri(f"/{repository.name}/commit/{made.oid}")
    return JsonResponse({"success": True, "commitOid": made.oid, "commitUrl": url, "hookOutput": ""})


def _changes(request: HttpRequest, repository: Repository) -> tuple[Header, list[AddFile | DeleteFile]]:
    """Keeps the content of regular files as it comes. Raises CommitRefused before any is kept under a name that cannot be."""
    header = Header("", "", "")
    changes: list[AddFile | DeleteFile] = []
    problems: list[Problem] = []
    user, organization = repository.caller.user, repository.listing.organization
    for operation in read_operations(request):
        match operation:
            case Header():
                header = operation
            case Deletion(path):
                changes.append(DeleteFile(path))
            case RegularFile(path) | LargeFile(path) if is_ignored(path):
                continue
            case RegularFile(path, data):
                problem = check_path(path) or check_start(path, data[:512])
                problems += [problem] if problem else []
                if not problems:
                    blob = store_bytes(organization=organization, user=user, path=path, data=data)
                    changes.append(AddFile(path, blob.pk))
            case LargeFile(path, sha256):
                changes.append(AddFile(path, sha256))
    if problems:
        raise CommitRefused(problems)
    return header, changes


def _check(file: dict[str, Any]) -> Problem | None:
    """What is wrong with a file's name, or with its first bytes."""
    path = text_of(file, "path")
    if is_ignored(path):
        return None
    try:
        sample = base64.b64decode(text_of(file, "sample"), validate=True)
    except (binascii.Error, ValueError):
        raise InvalidRequest("`sample` is not base64.", param="sample") from None
    return check_path(path) or (check_start(path, sample) if sample else None)


def _mode(path: str, size: object, there: dict[str, FileEntry]) -> dict[str, Any]:
    """``oid`` is that of the same path's content now: a client does not send it again."""
    if not isinstance(size, int) or size < 0:
        raise InvalidRequest("`size` is a number of bytes.", param="size")
    is_large = size > LARGE_BYTES or (path.lower().endswith(LARGE_NAMES) and size > 0)
    made: dict[str, Any] = {
        "path": path,
        "uploadMode": "lfs" if is_large else "regular",
        "shouldIgnore": is_ignored(path),
    }
    return made | ({"oid": there[path].sha256} if is_large and path in there else {})


def _files(repository: Repository, revision: str) -> list[FileEntry]:
    """What is on the branch; nothing where ``main`` has no commit yet. Raises RevisionMissing."""
    try:
        return repository.files(repository.commit(revision))
    except RevisionMissing:
        if revision != MAIN:
            raise
        return []


def _refuse_pull_request(request: HttpRequest) -> None:
    if request.GET.get("create_pr") in ("1", "true"):
        raise NotOffered("There are no pull requests here: commit to a branch of your own.")
