"""Repositories are made, deleted and set; branches and tags; who may do what."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse

from store.accounts.actions import ensure_personal_organization
from store.accounts.models import Organization, TokenScope, User
from store.catalog.actions.listings import ListingChanges, edit_listing
from store.catalog.actions.repositories import (
    ListingExists,
    create_branch,
    create_listing,
    create_tag,
    delete_listing,
    delete_ref,
)
from store.catalog.models import RefKind, Weights
from store.errors import InvalidRequest
from store.hub import shapes
from store.hub.callers import Caller, caller_of
from store.hub.reads import RepositoryMissing, open_repository
from store.hub.rendering import error_response, hub_view, read_json, text_of

VISIBILITIES = {"public": False, "private": True}
GATES = {"auto": (Weights.GATED, True), "manual": (Weights.GATED, False), False: (Weights.OPEN, False)}
XET_ADVICE = "/api/xet/not-offered:set-HF_HUB_DISABLE_XET=1-and-run-the-same-again"
MODELS_ONLY = "This store keeps models only: there are no datasets, spaces or buckets here."


class ModelsOnly(InvalidRequest):
    """A repository of another kind."""

    code = "hub_models_only"
    default_message = MODELS_ONLY


class NotOffered(InvalidRequest):
    """Something that the Hub can do, and this store does not."""

    code = "hub_not_offered"


@hub_view("GET", "POST", "PUT", "DELETE", "HEAD")
def refuse_kind(request: HttpRequest, **_path: str) -> HttpResponse:
    """Datasets, spaces and buckets."""
    raise ModelsOnly


@hub_view("GET", "HEAD")
def refuse_xet(request: HttpRequest, told: bool = False, **_path: str) -> HttpResponse:
    """Clients upload by Xet where ``hf_xet`` is installed, and ask for a token of it first. Of a refusal ``hf_xet`` shows nothing but
    the address that it came from: so it is sent on to an address that says what to do.
    """
    if not told:
        return HttpResponseRedirect(XET_ADVICE)
    raise NotOffered("This store takes files by Git LFS, not by Xet: set HF_HUB_DISABLE_XET=1 and run the same again.")


@hub_view("POST")
def refuse_move(request: HttpRequest) -> HttpResponse:
    raise NotOffered("A model keeps its name: callers and keys know it by it.")


@hub_view("POST")
def refuse_duplicate(request: HttpRequest, repo: str) -> HttpResponse:
    raise NotOffered(
        "Download the model and upload it under the new name: content that is here already is not sent again."
    )


@hub_view("GET")
def whoami(request: HttpRequest) -> HttpResponse:
    caller = caller_of(request)
    user = caller.require(TokenScope.READ)
    own = ensure_personal_organization(user)
    others = user.memberships.exclude(organization=own).select_related("organization").order_by("organization__slug")
    return JsonResponse(shapes.account(user, own, [(row.organization, row.role) for row in others], caller))


@hub_view("POST")
def create(request: HttpRequest) -> HttpResponse:
    user = caller_of(request).require(TokenScope.WRITE)
    body = read_json(request)
    _require_model(text_of(body, "type", "model"))
    slug = text_of(body, "name")
    organization = _namespace(user, text_of(body, "organization"))
    is_private = _privacy(body)
    url = request.build_absolute_uri(f"/{organization.slug}/{slug}")
    try:
        listing = create_listing(organization=organization, user=user, slug=slug, is_private=bool(is_private))
    except ListingExists as error:
        return error_response(error, url=url)
    return JsonResponse({"url": url, "name": listing.name, "id": f"{listing.pk:024x}"})


@hub_view("DELETE")
def delete(request: HttpRequest) -> HttpResponse:
    user = caller_of(request).require(TokenScope.WRITE)
    body = read_json(request)
    _require_model(text_of(body, "type", "model"))
    organization = _namespace(user, text_of(body, "organization"))
    repository = open_repository(request, f"{organization.slug}/{text_of(body, 'name')}", write=True)
    delete_listing(listing=repository.listing, user=user)
    return JsonResponse({"success": True})


@hub_view("PUT")
def settings(request: HttpRequest, repo: str) -> HttpResponse:
    repository = open_repository(request, repo, write=True)
    body = read_json(request)
    changes: ListingChanges = {}
    is_private = _privacy(body)
    if is_private is not None:
        changes["is_private"] = is_private
    if "gated" in body:
        gated = body["gated"]
        if not isinstance(gated, str | bool) or gated not in GATES:
            raise InvalidRequest('`gated` is "auto", "manual" or false.', param="gated")
        changes["weights"], changes["gate_is_automatic"] = GATES[gated]
    listing = edit_listing(listing=repository.listing, user=_writer(repository.caller), **changes)
    return JsonResponse({"private": listing.is_private, "gated": shapes.gate(listing)})


@hub_view("GET", "HEAD")
def auth_check(request: HttpRequest, repo: str, write: str = "") -> HttpResponse:
    open_repository(request, repo, write=bool(write)).check_download()
    return JsonResponse({})


@hub_view("GET")
def refs(request: HttpRequest, repo: str) -> HttpResponse:
    repository = open_repository(request, repo)
    found = repository.refs()
    branches, tags = ([ref for ref in found if ref.kind == kind] for kind in (RefKind.BRANCH, RefKind.TAG))
    return JsonResponse(
        {
            "branches": [shapes.ref(ref, "heads") for ref in branches],
            "tags": [shapes.ref(ref, "tags") for ref in tags],
            "converts": [],
            "pullRequests": [],
        }
    )


@hub_view("POST", "DELETE")
def branch(request: HttpRequest, repo: str, revision: str) -> HttpResponse:
    repository = open_repository(request, repo, write=True)
    user = _writer(repository.caller)
    if request.method == "POST":
        start = text_of(read_json(request), "startingPoint")
        create_branch(listing=repository.listing, user=user, name=revision, revision=start)
    else:
        delete_ref(listing=repository.listing, user=user, kind=RefKind.BRANCH, name=revision)
    return JsonResponse({})


@hub_view("POST", "DELETE")
def tag(request: HttpRequest, repo: str, revision: str) -> HttpResponse:
    """Made at a revision; deleted by its name."""
    repository = open_repository(request, repo, write=True)
    user = _writer(repository.caller)
    if request.method == "POST":
        body = read_json(request)
        create_tag(
            listing=repository.listing,
            user=user,
            name=text_of(body, "tag"),
            revision=revision,
            message=text_of(body, "message"),
        )
    else:
        delete_ref(listing=repository.listing, user=user, kind=RefKind.TAG, name=revision)
    return JsonResponse({})


def _require_model(kind: str) -> None:
    if kind != "model":
        raise ModelsOnly


def _namespace(user: User, slug: str) -> Organization:
    """The organization of this name that the user belongs to; without a name, their own. Raises RepositoryMissing."""
    if not slug:
        return ensure_personal_organization(user)
    found = Organization.objects.visible_to(user).filter(slug=slug).first()
    if found is None:
        raise RepositoryMissing(f"You are in no organization {slug[:100]!r}.")
    return found


def _privacy(body: dict[str, object]) -> bool | None:
    """None where the body does not say; newer clients say ``visibility``, older ones ``private``."""
    visibility, private = body.get("visibility"), body.get("private")
    if visibility is not None:
        if not isinstance(visibility, str) or visibility not in VISIBILITIES:
            raise InvalidRequest('`visibility` is "public" or "private".', param="visibility")
        return VISIBILITIES[visibility]
    if private is not None and not isinstance(private, bool):
        raise InvalidRequest("`private` is true or false.", param="private")
    return private


def _writer(caller: Caller) -> User:
    return caller.require(TokenScope.WRITE)
