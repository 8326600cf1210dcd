"""What there is to read: a model's metadata, its files, its history."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse

from store.catalog.actions.repositories import FileMissing
from store.catalog.card import CardError, read_metadata
from store.catalog.models import Commit
from store.errors import InvalidRequest
from store.hub import details, shapes
from store.hub.history import history, last_changes
from store.hub.models import recent_downloads
from store.hub.paging import page_of
from store.hub.reads import MAIN, Repository, open_repository, release_commit
from store.hub.rendering import hub_view, read_json, text_of

HISTORY_PAGE = 100
MAX_PATHS = 1_000
# Everything that the Hub's clients may ask for; what this store knows nothing of is left out of the answer.
EXPANDABLE = frozenset(
    {
        "author", "baseModels", "cardData", "childrenModelCount", "config", "createdAt", "disabled", "downloads",
        "downloadsAllTime", "evalResults", "gated", "gguf", "inference", "inferenceProviderMapping", "lastModified",
        "library_name", "likes", "mask_token", "model-index", "pipeline_tag", "private", "resourceGroup", "safetensors",
        "securityRepoStatus", "sha", "siblings", "spaces", "tags", "transformersInfo", "trendingScore", "usedStorage",
        "widgetData",
    }
)  # fmt: skip
ALWAYS = ("_id", "id")


@hub_view("GET", "HEAD")
def model_info(request: HttpRequest, repo: str, revision: str = MAIN) -> HttpResponse:
    repository = open_repository(request, repo)
    wanted = asked_fields(request)
    info = describe(repository, repository.commit(revision), with_metadata=_flag(request, "blobs"))
    return JsonResponse({key: info[key] for key in (*ALWAYS, *wanted) if key in info} if wanted else info)


@hub_view("GET", "HEAD")
def tree(request: HttpRequest, repo: str, revision: str, path: str = "") -> HttpResponse:
    repository = open_repository(request, repo)
    commit = repository.commit(revision)
    files, folder = repository.files(commit), path.strip("/")
    last = last_changes(repository, commit, [file.path for file in files]) if _flag(request, "expand") else {}
    entries = shapes.tree(files, folder=folder, recursive=_flag(request, "recursive"), last=last)
    if folder and not entries:
        raise FileMissing(f"There is no folder {folder[:200]!r} in this revision.")
    return JsonResponse(entries, safe=False)


@hub_view("POST")
def paths_info(request: HttpRequest, repo: str, revision: str) -> HttpResponse:
    """A form, as Python's client sends it. What is not there is not in the answer."""
    repository = open_repository(request, repo)
    commit = repository.commit(revision)
    paths = [path.strip("/") for path in request.POST.getlist("paths")]
    if len(paths) > MAX_PATHS:
        raise InvalidRequest(f"Ask for {MAX_PATHS} paths at most.", param="paths")
    files = repository.files(commit)
    expand = request.POST.get("expand", "").lower() == "true"
    last = last_changes(repository, commit, [file.path for file in files]) if expand else {}
    entries = shapes.tree(files, folder="", recursive=True, last=last)
    return JsonResponse([entry for entry in entries if entry["path"] in set(paths)], safe=False)


@hub_view("GET", "HEAD")
def commits(request: HttpRequest, repo: str, revision: str) -> HttpResponse:
    repository = open_repository(request, repo)
    line = history(repository, repository.commit(revision))
    page = page_of(request, line, size=HISTORY_PAGE)
    return page.respond([shapes.commit(commit) for commit in page.items])


@hub_view("POST")
def validate_yaml(request: HttpRequest) -> HttpResponse:
    """What is wrong with a card's front matter, before it is uploaded."""
    try:
        said = read_metadata(text_of(read_json(request), "content"))
    except CardError as error:
        problem = {"message": str(error)}
        return JsonResponse({"error": str(error), "errors": [problem], "warnings": []}, status=400)
    missing = [] if said else ["empty or missing yaml metadata in repo card"]
    if said and not said.get("license"):
        missing = ["no `license`: a model is published under an SPDX licence, such as apache-2.0"]
    return JsonResponse({"errors": [], "warnings": [{"message": message} for message in missing]})


def describe(repository: Repository, commit: Commit, *, with_metadata: bool) -> dict[str, Any]:
    """Everything that the store knows of a model at a commit."""
    listing, files = repository.listing, repository.files(commit)
    info = shapes.model(listing, downloads=recent_downloads(listing))
    info |= {"sha": commit.oid, "lastModified": shapes.moment(commit.created_at), "usedStorage": commit.size}
    info |= {"siblings": [shapes.sibling(file, with_metadata=with_metadata) for file in files]}
    info |= {"cardData": details.card_data(files), "config": details.config(files)}
    release = repository.release or listing.current_release
    if release and release_commit(release) == commit and (counted := details.dtypes(files)):
        info["safetensors"] = {"parameters": counted, "total": sum(counted.values())}
    return info


def asked_fields(request: HttpRequest) -> list[str]:
    """The names in ``expand``. Raises InvalidRequest."""
    asked = [*request.GET.getlist("expand"), *request.GET.getlist("expand[]")]
    odd = [name for name in asked if name not in EXPANDABLE]
    if odd:
        raise InvalidRequest(f"`expand` knows no {odd[0][:50]!r}.", param="expand")
    return asked


def _flag(request: HttpRequest, name: str) -> bool:
    return request.GET.get(name, "").lower() in ("true", "1")
