"""One model, for those who publish it: its standing and what can be done about it, and its settings."""

from __future__ import annotations

from collections.abc import Callable

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from store.catalog.actions.listings import deprecate_listing, edit_listing, republish_listing, withdraw_listing
from store.catalog.actions.repositories import delete_listing
from store.catalog.models import Listing
from store.console.forms.manage import DeleteForm, DeprecateForm, ReasonForm, SettingsForm
from store.console.managed import ManagedRequest, manage_url, managed_page, show
from store.console.standing import standing_of
from store.errors import InvalidRequest, StoreError


@managed_page
def overview(request: ManagedRequest, listing: Listing) -> HttpResponse:
    """Where the model stands, what its newest files are on the way to, and what can be done."""
    shown = {
        "standing": standing_of(listing),
        "deprecate_form": DeprecateForm(),
        "withdraw_form": ReasonForm(prefix="withdraw"),
        "delete_form": DeleteForm(listing=listing),
    }
    return show(request, listing, "manage/overview.html", shown)


@managed_page
def settings(request: ManagedRequest, listing: Listing) -> HttpResponse:
    """Who sees, calls and downloads it; its shelf; the questions at its gate."""
    form = SettingsForm(request.POST or None, listing=listing)
    if form.is_valid():
        try:
            edit_listing(listing=listing, user=request.user, **form.changes())
            messages.success(request, _("Saved."))
            return redirect(manage_url(listing, "settings"))
        except StoreError as error:
            form.refuse(error)
    return show(request, listing, "manage/settings.html", {"form": form}, status=422 if form.errors else 200)


@require_POST
@managed_page
def deprecate(request: ManagedRequest, listing: Listing) -> HttpResponse:
    """Names the last day."""
    form = DeprecateForm(request.POST)
    if not form.is_valid():
        messages.error(request, _("Choose the last day."))
        return redirect(manage_url(listing))
    done = _("It is deprecated, and who holds a key for it is told.")
    return _do(
        request, listing, done, lambda: deprecate_listing(listing=listing, user=request.user, **form.cleaned_data)
    )


@require_POST
@managed_page
def withdraw(request: ManagedRequest, listing: Listing) -> HttpResponse:
    """Off the shelf, at once."""
    reason = request.POST.get("withdraw-reason", "")
    done = _("It is withdrawn: nobody calls it any more.")
    return _do(request, listing, done, lambda: withdraw_listing(listing=listing, user=request.user, reason=reason))


@require_POST
@managed_page
def republish(request: ManagedRequest, listing: Listing) -> HttpResponse:
    """Back on the shelf."""
    done = _("It is published again.")
    return _do(request, listing, done, lambda: republish_listing(listing=listing, user=request.user))


@require_POST
@managed_page
def delete(request: ManagedRequest, listing: Listing) -> HttpResponse:
    """The end of a model, for who has typed its name."""
    form = DeleteForm(request.POST, listing=listing)
    if not form.is_valid():
        raise InvalidRequest(_("Type %(name)s to delete it.") % {"name": listing.name}, param="name")
    delete_listing(listing=listing, user=request.user)
    messages.success(request, _("%(name)s is deleted. Its name stays yours.") % {"name": listing.name})
    return redirect("console:provider")


def _do(request: ManagedRequest, listing: Listing, done: str, act: Callable[[], Listing]) -> HttpResponse:
    """One verb and its answer, above the overview."""
    try:
        act()
        messages.success(request, done)
    except StoreError as error:
        messages.error(request, error.message)
    return redirect(manage_url(listing))
