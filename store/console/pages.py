"""What every page shares: who may see it, and how an error looks."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils.cache import add_never_cache_headers, patch_cache_control

from store.accounts.models import Organization, User
from store.console.context import current_organization
from store.errors import StoreError

View = Callable[..., HttpResponseBase]


class MemberRequest(HttpRequest):
    """A request of somebody who is signed in: what the views of the console get. Never made, only named."""

    user: User


def page(view: View) -> View:
    """A page for anybody. What a verb refuses is shown as a page with its status."""

    @wraps(view)
    def shown(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        try:
            return view(request, *args, **kwargs)
        except StoreError as error:
            return render(request, "console/refused.html", {"error": error}, status=error.status)

    return shown


def console_page(view: View) -> View:
    """A page for the signed-in: ``view(request, organization, ...)`` gets the organization that they act for. Kept by no cache."""

    @login_required
    @page
    @wraps(view)
    def shown(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        organization: Organization = current_organization(request)
        response = view(request, organization, *args, **kwargs)
        add_never_cache_headers(response)
        patch_cache_control(response, private=True)
        return response

    return shown
