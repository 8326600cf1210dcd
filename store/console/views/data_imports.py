"""Data sets of another Hub, by their names: ask for one, see how far it is, cancel it."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST
from django_htmx.http import HttpResponseClientRefresh

from store.accounts.models import Organization
from store.catalog.actions.permission import may_publish
from store.console.data_files import shown_imports, shown_page
from store.console.forms.data_files import ImportForm
from store.console.pages import MemberRequest, console_page
from store.errors import StoreError
from store.tuning.actions.imports import cancel_data_import, import_of, start_data_import


@require_POST
@console_page
def start(request: MemberRequest, organization: Organization) -> HttpResponse:
    """Queues one."""
    form = ImportForm(request.POST)
    if form.is_valid():
        try:
            start_data_import(organization=organization, user=request.user, **form.terms())
            return redirect("console:data")
        except StoreError as error:
            form.refuse(error)
    return render(request, "console/data.html", shown_page(organization, request.user, form=form), status=422)


@console_page
def imports(request: MemberRequest, organization: Organization) -> HttpResponse:
    """The part of the page that asks again by itself; once none is under way it has the whole page loaded anew."""
    shown = shown_imports(organization) | {"may_change": may_publish(organization, request.user)}
    if not shown["is_importing"]:
        return HttpResponseClientRefresh()
    return render(request, "console/_data_imports.html", shown)


@require_POST
@console_page
def cancel(request: MemberRequest, organization: Organization, import_id: str) -> HttpResponse:
    """The end of one."""
    found = import_of(request.user, import_id)
    cancel_data_import(data_import=found, user=request.user)
    messages.success(request, _("The import of %(name)s is cancelled.") % {"name": found.repo_id})
    return redirect("console:data")
