"""The card, edited and seen at once."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from store.catalog.actions.submissions import submit_commit
from store.catalog.models import CALLABLE, Listing
from store.console.card import card_html
from store.console.card_edit import CardMoved, open_card, save_card
from store.console.forms.manage import CardForm
from store.console.managed import ManagedRequest, manage_url, managed_page, show
from store.console.wizard import Step, way_of
from store.errors import StoreError


@managed_page
def editor(request: ManagedRequest, listing: Listing) -> HttpResponse:
    """README.md on main. Where somebody else saved it meanwhile, both are shown, and the next save is on top of theirs."""
    now, theirs = open_card(listing), ""
    form = CardForm(request.POST) if request.method == "POST" else CardForm.of(now.text, now.sha256)
    if form.is_bound and form.is_valid():
        try:
            return _save(request, listing, form)
        except CardMoved as error:
            theirs = now.text
            form = form.on_top_of(now.sha256, error.message)
        except StoreError as error:
            form.add_error("body", error.message)
    is_on_shelf = listing.status in CALLABLE
    shown = {"form": form, "theirs": theirs, "preview": _preview(listing, form), "is_on_shelf": is_on_shelf}
    return show(request, listing, "manage/card.html", shown, status=422 if form.errors else 200)


@require_POST
@managed_page
def preview(request: ManagedRequest, listing: Listing) -> HttpResponse:
    """The Markdown of the form as the listing's page would show it."""
    return render(request, "console/manage/_preview.html", {"preview": _preview(listing, CardForm(request.POST))})


def _save(request: ManagedRequest, listing: Listing, form: CardForm) -> HttpResponse:
    """Where it shall be published: on to the checks; if nothing but the card is new, it is on the shelf as soon as they are through."""
    base = form.cleaned_data["base_sha256"]
    made = save_card(listing=listing, user=request.user, text=form.text(), base_sha256=base)
    messages.success(request, _("The card is saved."))
    if "publish" not in request.POST:
        return redirect(manage_url(listing, "card"))
    submit_commit(listing=listing, user=request.user, commit=made, goes_live=True)
    return redirect(way_of(listing).url(Step.CHECKS))


def _preview(listing: Listing, form: CardForm) -> str:
    head = open_card(listing).commit
    return card_html(str(form["body"].value() or ""), model=listing.name, revision=head.oid if head else "")
