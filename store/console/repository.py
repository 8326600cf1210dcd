"""What a model's repository holds, as its pages show it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.conf import settings

from inference.manifest import FileEntry
from store.accounts.models import User
from store.catalog.actions.repositories import files_at
from store.catalog.models import Commit, ImportJob, ImportStatus, Listing
from store.catalog.storage import storage_use
from store.console.arrivals import unfinished
from store.console.converting import converter
from store.console.forms.publish import ImportForm
from store.console.snippets import Snippet
from store.console.wizard import head_of

COMMITS_PER_PAGE = 20
HF_UPLOAD = """export HF_ENDPOINT={url}
export HF_HUB_DISABLE_XET=1   # this store takes files by Git LFS
export HF_TOKEN=gsu_...       # an access token that may write
hf upload {model} ./my-model"""
PYTHON_UPLOAD = """import os
os.environ["HF_ENDPOINT"] = "{url}"
os.environ["HF_HUB_DISABLE_XET"] = "1"  # before huggingface_hub is imported

from huggingface_hub import HfApi

api = HfApi(token=os.environ["HF_TOKEN"])  # an access token that may write
api.upload_folder(repo_id="{model}", folder_path="./my-model")"""


@dataclass(frozen=True, slots=True)
class Tree:
    """The files of a commit, and how many bytes they are together."""

    commit: Commit | None
    files: list[FileEntry]
    size: int


@dataclass(frozen=True, slots=True)
class History:
    commits: list[Commit]
    older: int | None  # id before which the next page begins


def tree_of(listing: Listing) -> Tree:
    """Main as it is now."""
    head = head_of(listing)
    files = files_at(head) if head else []
    return Tree(head, files, sum(file.size for file in files))


def commits_of(listing: Listing, *, before: int | None = None) -> History:
    """Commits of every branch, the newest first, with the releases that were made of them."""
    rows = listing.commits.select_related("author").prefetch_related("releases").order_by("-id")
    found = list((rows.filter(id__lt=before) if before else rows)[: COMMITS_PER_PAGE + 1])
    older = found[COMMITS_PER_PAGE - 1].pk if len(found) > COMMITS_PER_PAGE else None
    return History(found[:COMMITS_PER_PAGE], older)


def newest_import(listing: Listing) -> ImportJob | None:
    return listing.imports.order_by("-id").first()


def import_is_running(job: ImportJob | None) -> bool:
    return job is not None and job.status in (ImportStatus.QUEUED, ImportStatus.RUNNING)


def desk(listing: Listing, user: User) -> dict[str, Any]:
    """What a page on which files come shows: what is there, what is on its way, how much room there is, and the ways to send."""
    job = newest_import(listing)
    return {
        "tree": tree_of(listing),
        "unfinished": unfinished(listing.organization, user),
        "import_job": job,
        "import_is_running": import_is_running(job),
        "import_form": ImportForm(),
        "import_host": settings.IMPORT_ENDPOINT.removeprefix("https://").removeprefix("http://"),
        "storage": storage_use(listing.organization),
        "commands": upload_commands(listing.name),
        **converter(listing, user),
    }


def upload_commands(model: str) -> list[Snippet]:
    """How to send files with the Hub's own tools."""
    ways = (("hf", "hf", HF_UPLOAD), ("python", "Python", PYTHON_UPLOAD))
    return [Snippet(name, label, code.format(url=settings.PUBLIC_URL, model=model)) for name, label, code in ways]
