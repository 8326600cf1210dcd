"""The commits that lead to a commit, and which of them last changed a file."""

from __future__ import annotations

from collections.abc import Collection

from store.catalog.models import Commit, CommitFile
from store.hub.reads import Repository, published_releases

LOOKED_BACK = 200  # commits: what has not changed in them is said to be from the oldest


def history(repository: Repository, commit: Commit) -> list[Commit]:
    """The commit and its ancestors, newest first; for others than members those that were published."""
    rows = repository.listing.commits.select_related("author", "listing__organization").order_by("-id")
    known = {row.pk: row for row in rows.filter(pk__lte=commit.pk)}
    line: list[Commit] = []
    at = known.get(commit.pk)
    while at:
        line.append(at)
        at = known.get(at.parent_id) if at.parent_id else None
    if repository.is_member:
        return line
    published = set(published_releases(repository.listing).values_list("digest", flat=True))
    return [each for each in line if each == commit or each.digest in published]


def last_changes(repository: Repository, commit: Commit, paths: Collection[str]) -> dict[str, Commit]:
    """For each of these paths of the commit, the newest commit that changed it."""
    line = history(repository, commit)[:LOOKED_BACK]
    rows = CommitFile.objects.filter(commit__in=line, path__in=paths).values_list("commit_id", "path", "blob_id")
    content = {(commit_id, path): blob for commit_id, path, blob in rows}
    changed: dict[str, Commit] = {}
    for path in paths:
        wanted = content[commit.pk, path]
        since = commit
        for older in line[1:]:
            if content.get((older.pk, path)) != wanted:
                break
            since = older
        changed[path] = since
    return changed
