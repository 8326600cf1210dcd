"""The models of the store, as the Hub lists its own."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import AnonymousUser
from django.db.models import F, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse, JsonResponse

from store.accounts.models import Organization, TokenScope
from store.catalog.models import Listing, Ref, RefKind, Weights
from store.discovery.query import TEXT_CHARS, SearchQuery
from store.discovery.search import search
from store.errors import InvalidRequest
from store.hub import shapes
from store.hub.callers import caller_of
from store.hub.models import downloads_of_row
from store.hub.paging import Page, page_of
from store.hub.reads import MAIN, RepositoryMissing
from store.hub.rendering import hub_view
from store.hub.views.files import ALWAYS, asked_fields

PAGE, MAX_LIMIT = 100, 1_000
SORTS = {
    "createdAt": F("created_at").desc(),
    "lastModified": F("modified_at").desc(nulls_last=True),
    "downloads": F("downloads").desc(),
    "trendingScore": F("standing__trending").desc(nulls_last=True),
    "likes": F("standing__rating").desc(nulls_last=True),
}
GATES = {
    "true": Q(weights__in=(Weights.GATED, Weights.CLOSED)),
    "false": Q(weights=Weights.OPEN),
    "auto": Q(weights=Weights.GATED, gate_is_automatic=True),
    "manual": Q(weights=Weights.GATED, gate_is_automatic=False) | Q(weights=Weights.CLOSED),
}
# What every model here is: a filter for it leaves all.
EVERYWHERE = frozenset({shapes.LIBRARY, "safetensors", "pytorch"})
# Filters that the Hub has and this store cannot answer: better a refusal than a list that is not what was asked for.
NOT_FILTERS = ("apps", "inference", "inference_provider", "num_parameters")


@hub_view("GET", "HEAD")
def models(request: HttpRequest) -> HttpResponse:
    caller = caller_of(request)
    user = caller.require(TokenScope.READ) if caller.user else AnonymousUser()
    wanted = asked_fields(request)
    found = filtered(Listing.objects.visible_to(user), request)
    if text := request.GET.get("search", "").strip():
        found = _searched(found, text, Organization.objects.visible_to(user))
    found = sorted_by(found, request.GET.get("sort", "trendingScore"))
    page = page_of(request, found.select_related("organization", "base__organization"), size=_limit(request))
    entries = [_entry(listing) for listing in page.items]
    return page.respond(
        [{k: entry[k] for k in (*ALWAYS, *wanted) if k in entry} if wanted else entry for entry in entries]
    )


@hub_view("GET")
def own(request: HttpRequest, organization: str = "") -> HttpResponse:
    """What the user, or an organization of theirs, has: ``hf repos list``."""
    user = caller_of(request).require(TokenScope.READ)
    owners = Organization.objects.visible_to(user)
    if organization and not (owners := owners.filter(slug=organization)):
        raise RepositoryMissing(f"You are in no organization {organization[:100]!r}.")
    found = Listing.objects.filter(organization__in=owners, deleted_at=None).order_by("-created_at", "-id")
    page: Page[Any] = page_of(request, found.annotate(**_counted()).select_related("organization"), size=PAGE)
    return page.respond([shapes.owned(listing, used=listing.used or 0) for listing in page.items])


@hub_view("GET")
def tags_by_type(request: HttpRequest) -> HttpResponse:
    """What can be asked for with ``filter``, where the list is short."""
    tasks = sorted(set(Listing.objects.public().values_list("task", flat=True)))
    return JsonResponse(
        {
            "pipeline_tag": [{"id": task, "label": task, "type": "pipeline_tag"} for task in tasks],
            "library": [{"id": shapes.LIBRARY, "label": "Transformers", "type": "library"}],
        }
    )


def filtered(found: QuerySet[Listing], request: HttpRequest) -> QuerySet[Listing]:
    """Raises InvalidRequest for a filter that cannot be answered."""
    asked = request.GET
    for name in NOT_FILTERS:
        if name in asked:
            raise InvalidRequest(f"This store cannot filter by `{name}`.", param=name)
    found = found.filter(deleted_at=None)
    if author := asked.get("author"):
        found = found.filter(organization__slug=author)
    if task := asked.get("pipeline_tag"):
        found = found.filter(task=task)
    if gated := asked.get("gated"):
        found = found.filter(GATES.get(gated.lower(), Q(pk=None)))
    for tag in (*asked.getlist("filter"), *asked.getlist("tags"), *asked.getlist("library")):
        found = found.filter(_tagged(tag))
    return found


def _searched(found: QuerySet[Listing], text: str, own: QuerySet[Organization]) -> QuerySet[Listing]:
    """What the store's search finds among public listings, and members' own, which it does not know, by their names."""
    page = search(SearchQuery(text=text[:TEXT_CHARS], per_page=MAX_LIMIT), with_facets=False)
    named = Q(organization__in=own)
    for word in text[:TEXT_CHARS].replace("/", " ").split():
        named &= Q(slug__icontains=word) | Q(organization__slug__icontains=word) | Q(title__icontains=word)
    return found.filter(named | Q(pk__in=[row.pk for row in page.items]))


def sorted_by(found: QuerySet[Listing], name: str) -> QuerySet[Listing]:
    """Newest first among equals. Raises InvalidRequest."""
    if name not in SORTS:
        raise InvalidRequest(f"`sort` is one of {', '.join(SORTS)}.", param="sort")
    return found.annotate(**_counted()).order_by(SORTS[name], "-id")


def _counted() -> dict[str, Any]:
    heads = Ref.objects.filter(listing=OuterRef("pk"), kind=RefKind.BRANCH, name=MAIN)
    return {
        "downloads": downloads_of_row(),
        "used": Subquery(heads.values("commit__size")[:1]),
        "modified_at": Coalesce(F("current_release__created_at"), Subquery(heads.values("commit__created_at")[:1])),
    }


def _tagged(tag: str) -> Q:
    """A tag as ``shapes.tags`` makes them."""
    kind, colon, value = tag.partition(":")
    if tag in EVERYWHERE:
        return Q()
    if colon and kind == "license":
        return Q(licence__iexact=value)
    if colon and kind == "base_model":
        relation, _colon, name = value.rpartition(":")
        organization, _slash, slug = name.partition("/")
        derived = Q(base__organization__slug=organization, base__slug=slug)
        return derived & Q(base_relation=relation) if relation else derived
    return Q(tags__contains=[tag]) | Q(languages__contains=[tag]) | Q(task=tag)


def _entry(listing: Any) -> dict[str, Any]:
    """A row with what ``sorted_by`` counted."""
    made = shapes.model(listing, downloads=listing.downloads)
    return made | ({"lastModified": shapes.moment(listing.modified_at)} if listing.modified_at else {})


def _limit(request: HttpRequest) -> int:
    try:
        return min(max(int(request.GET.get("limit", PAGE)), 1), MAX_LIMIT)
    except ValueError:
        raise InvalidRequest("`limit` is a number.", param="limit") from None
