"""Pages of one listing for those who work on it."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.cache import add_never_cache_headers, patch_cache_control
from django.utils.translation import gettext as _

from store.accounts.models import Organization, User
from store.catalog.actions.permission import may_publish
from store.catalog.models import Listing
from store.console.pages import MemberRequest, View, page
from store.errors import InvalidRequest, PermissionDenied, StoreError


class ManagedRequest(MemberRequest):
    """A request of a member of the listing's organization. ``may_publish``: their role lets them change the listing."""

    may_publish: bool


def own_listing(user: User, organization: str, slug: str) -> Listing:
    """A listing of one of the user's organizations; a stranger's is a 404."""
    mine = Listing.objects.filter(organization__in=Organization.objects.visible_to(user))
    found = mine.named(f"{organization}/{slug}").select_related("organization__provider", "current_release", "base")
    return get_object_or_404(found)


def managed_page(view: View) -> View:
    """A page that is reached by a listing's name: ``view(request, listing, ...)``. Who may not publish looks and changes nothing."""

    @login_required
    @page
    @wraps(view)
    def shown(request: ManagedRequest, organization: str, slug: str, *args: Any, **kwargs: Any) -> HttpResponseBase:
        listing = own_listing(request.user, organization, slug)
        request.may_publish = may_publish(listing.organization, request.user)
        if request.method == "POST" and not request.may_publish:
            raise PermissionDenied(_("Only an owner, admin or developer of the organization can change its models."))
        response = view(request, listing, *args, **kwargs)
        add_never_cache_headers(response)
        patch_cache_control(response, private=True)
        return response

    return shown


def answers_json(view: Callable[..., HttpResponse]) -> View:
    """Below ``managed_page``: for scripts of a page. A refusal is ``{"error": {"code", "message", "problems"}}`` with its status."""

    @wraps(view)
    def answered(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            return view(request, *args, **kwargs)
        except StoreError as error:
            problems = [{"path": each.path, "message": each.message} for each in getattr(error, "problems", ())]
            said = {"code": error.code, "message": error.message, "problems": problems}
            return JsonResponse({"error": said}, status=error.status)

    return answered


def json_of(request: HttpRequest) -> dict[str, Any]:
    """The object in the body. Raises InvalidRequest."""
    try:
        said = json.loads(request.body)
    except ValueError:
        said = None
    if not isinstance(said, dict):
        raise InvalidRequest(_("The body is not a JSON object."))
    return said


def manage_url(listing: Listing, page: str = "") -> str:
    """Of a management page: "files", "card", ...; the overview where none is named."""
    name = f"console:manage-{page}" if page else "console:manage"
    return reverse(name, args=[listing.organization.slug, listing.slug])


def show(request: ManagedRequest, listing: Listing, template: str, shown: dict[str, Any] | None = None, *,
         status: int = 200) -> HttpResponse:  # fmt: skip
    """A page in the frame of the listing's organization, whichever one the user acts for elsewhere."""
    frame = {"listing": listing, "organization": listing.organization, "may_publish": request.may_publish}
    return render(request, f"console/{template}", {**frame, **(shown or {})}, status=status)
