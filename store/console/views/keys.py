"""API keys: list, make, change, rotate, revoke."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from store.accounts.models import Organization
from store.console.context import role_in
from store.console.forms.keys import KeyForm, RotateForm
from store.console.keyring import keys_of
from store.console.outlook import budgets_of_key
from store.console.pages import MemberRequest, console_page
from store.console.shelf import on_sale
from store.console.snippets import export_line, snippets
from store.errors import InvalidRequest
from store.keys.actions import KEY_KEEPERS, IssuedKey, issue_key, revoke_key, rotate_key, update_key
from store.usage.budgets import budgets_now


@console_page
def keys(request: MemberRequest, organization: Organization) -> HttpResponse:
    """The organization's keys, the living first."""
    mine = keys_of(organization).prefetch_related("listings__organization", "budgets")
    return render(
        request, "console/keys.html", {"keys": mine, "may_keep": role_in(organization, request.user) in KEY_KEEPERS}
    )


@console_page
def new_key(request: MemberRequest, organization: Organization) -> HttpResponse:
    """Makes a key, and shows its secret: the answer to the form, never again."""
    wanted = on_sale(request.user).filter(pk__in=[pk for pk in request.GET.getlist("model") if pk.isdecimal()])
    form = KeyForm(request.POST or None, organization=organization, user=request.user, initial={"listings": wanted})
    if form.is_valid():
        try:
            issued = issue_key(organization=organization, user=request.user, **form.terms())
            return _show_secret(request, issued)
        except InvalidRequest as error:
            form.refuse(error)
    return render(request, "console/key_new.html", {"form": form}, status=422 if form.errors else 200)


@console_page
def key(request: MemberRequest, organization: Organization, pk: int) -> HttpResponse:
    """One key: its limits and what was used of them, and the form to change it."""
    found = get_object_or_404(keys_of(organization), pk=pk)
    form = KeyForm.of(found, user=request.user)
    if request.method == "POST":
        form = KeyForm(request.POST, organization=organization, user=request.user, api_key=found)
        if form.is_valid():
            try:
                update_key(api_key=found, user=request.user, **form.terms())
                messages.success(request, _("The key was changed."))
                return redirect("console:key", pk=pk)
            except InvalidRequest as error:
                form.refuse(error)
    may_keep = role_in(organization, request.user) in KEY_KEEPERS
    budgets = budgets_now(budgets_of_key(found, request.user))
    shown = {"key": found, "form": form, "rotate": RotateForm(), "may_keep": may_keep, "budgets": budgets}
    return render(request, "console/key.html", shown, status=422 if form.errors else 200)


@require_POST
@console_page
def rotate(request: MemberRequest, organization: Organization, pk: int) -> HttpResponse:
    """A new secret for the key, shown once."""
    found = get_object_or_404(organization.api_keys, pk=pk)
    form = RotateForm(request.POST)
    if not form.is_valid():
        raise InvalidRequest(_("Choose how long the old secret works."), param="grace_s")
    return _show_secret(request, rotate_key(api_key=found, user=request.user, grace_s=form.cleaned_data["grace_s"]))


@require_POST
@console_page
def revoke(request: MemberRequest, organization: Organization, pk: int) -> HttpResponse:
    """The end of a key."""
    found = get_object_or_404(organization.api_keys, pk=pk)
    revoke_key(api_key=found, user=request.user)
    messages.success(request, _("The key %(prefix)s is revoked.") % {"prefix": found.prefix})
    return redirect("console:keys")


def _show_secret(request: MemberRequest, issued: IssuedKey) -> HttpResponse:
    opened = issued.api_key.listings.select_related("organization").first()
    shown = {
        "key": issued.api_key,
        "secret": issued.secret,
        "export": export_line(issued.secret),
        "snippets": snippets(opened.name) if opened else [],
    }
    return render(request, "console/key_secret.html", shown)
