"""Training data: list and add, what was found in a file, describe it, count its tokens, fetch and delete it."""

from __future__ import annotations

from typing import Any

from asgiref.sync import sync_to_async
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST
from django_htmx.http import HttpResponseClientRefresh

from store.accounts.models import Organization
from store.api.v1.files import content_response
from store.catalog.actions.permission import may_publish
from store.console.arrivals import arrivals_in
from store.console.data_files import add_arrived, bases_for, look, shown_page, shown_report, shown_tallies
from store.console.forms.data_files import DescriptionForm, TallyForm
from store.console.managed import answers_json, json_of
from store.console.pages import MemberRequest, console_page
from store.errors import NotFound, StoreError
from store.tuning.actions.files import delete_file, describe_file
from store.tuning.actions.tallies import tally_file
from store.tuning.models import UNREAD, DataFile


@console_page
def data_files(request: MemberRequest, organization: Organization) -> HttpResponse:
    """The organization's files, and where new ones are dropped."""
    before = request.GET.get("before", "")
    cursor = int(before) if before.isascii() and before.isdigit() else None
    return render(request, "console/data.html", shown_page(organization, request.user, before=cursor))


@require_POST
@console_page
@answers_json
def look_at(request: MemberRequest, organization: Organization) -> HttpResponse:
    """Before a byte is sent: may these files come?"""
    return JsonResponse({"files": look(organization, arrivals_in(json_of(request)))})


@require_POST
@console_page
@answers_json
def add(request: MemberRequest, organization: Organization) -> HttpResponse:
    """They have arrived."""
    made = add_arrived(organization, request.user, json_of(request))
    url = reverse("console:data-file", args=[made[0].public_id]) if len(made) == 1 else reverse("console:data")
    return JsonResponse({"url": url}, status=201)


@console_page
def data_file(request: MemberRequest, organization: Organization, file_id: str) -> HttpResponse:
    """What was found in one file, and what can be done with it."""
    return _page(request, _seen(request, file_id))


@console_page
def report(request: MemberRequest, organization: Organization, file_id: str) -> HttpResponse:
    """The part of the page that asks again by itself; at the end it has the whole page loaded anew."""
    file = _seen(request, file_id)
    if file.status not in UNREAD:
        return HttpResponseClientRefresh()
    return render(request, "console/_data_report.html", shown_report(file))


@console_page
def tallies(request: MemberRequest, organization: Organization, file_id: str) -> HttpResponse:
    """What is counted; asks again by itself while something is."""
    return render(request, "console/_data_tallies.html", shown_tallies(_seen(request, file_id)))


@require_POST
@console_page
def describe(request: MemberRequest, organization: Organization, file_id: str) -> HttpResponse:
    """Which column holds what: the file is read anew."""
    file = _seen(request, file_id)
    form = DescriptionForm(request.POST, file=file)
    if form.is_valid():
        try:
            describe_file(file=file, user=request.user, **form.terms())
            return redirect("console:data-file", file_id)
        except StoreError as error:
            form.refuse(error)
    return _page(request, file, description=form, status=422)


@require_POST
@console_page
def count(request: MemberRequest, organization: Organization, file_id: str) -> HttpResponse:
    """Has the tokens counted for a base."""
    file, form = _seen(request, file_id), TallyForm(request.POST)
    if form.is_valid():
        try:
            base = next((each for each in bases_for(request.user) if each.name == form.cleaned_data["base"]), None)
            if base is None or base.current_release is None:
                raise NotFound(_("There is no such model."), param="base")
            length = form.cleaned_data["max_length"] or base.current_release.context_length
            tally_file(file=file, release=base.current_release, max_length=length)
            return redirect(reverse("console:data-file", args=[file_id]) + "#tokens")
        except StoreError as error:
            form.refuse(error)
    return _page(request, file, tally_form=form, status=422)


@require_POST
@console_page
def delete(request: MemberRequest, organization: Organization, file_id: str) -> HttpResponse:
    """The end of a file."""
    file = _seen(request, file_id)
    delete_file(file=file, user=request.user)
    messages.success(request, _("%(name)s is deleted.") % {"name": file.filename})
    return redirect("console:data")


@login_required
async def content(request: HttpRequest, file_id: str) -> HttpResponseBase:
    """The file itself. Always as a download: what is in it is a stranger's to the store."""
    user = await request.auser()
    seen = DataFile.objects.visible_to(user).select_related("blob").filter(public_id=file_id)
    found = await sync_to_async(seen.first)()
    if found is None:
        raise Http404
    return await content_response(request, found)


def _seen(request: MemberRequest, file_id: str) -> DataFile:
    return get_object_or_404(
        DataFile.objects.visible_to(request.user).select_related("organization"), public_id=file_id
    )


def _page(request: MemberRequest, file: DataFile, *, description: DescriptionForm | None = None,
          tally_form: TallyForm | None = None, status: int = 200) -> HttpResponse:  # fmt: skip
    shown: dict[str, Any] = shown_report(file) | shown_tallies(file)
    shown |= {"organization": file.organization, "may_change": may_publish(file.organization, request.user)}
    shown |= {"description": description or DescriptionForm(file=file), "tally_form": tally_form or TallyForm()}
    return render(request, "console/data_file.html", shown | {"bases": bases_for(request.user)}, status=status)
