"""The files of a model: what lies on main, how they come there, and their history."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST

from store.catalog.actions.imports import cancel_import, start_import
from store.catalog.actions.repositories import DeleteFile, commit_files, create_tag, delete_ref
from store.catalog.models import Listing, ListingStatus, RefKind
from store.console.arrivals import additions_in, arrivals_in, commit_arrivals, look
from store.console.forms.manage import TagForm
from store.console.forms.publish import ImportForm
from store.console.managed import ManagedRequest, answers_json, json_of, manage_url, managed_page, show
from store.console.repository import commits_of, desk, newest_import
from store.console.wizard import Step, way_of
from store.errors import InvalidRequest, NotFound, StoreError


@managed_page
def wizard_files(request: ManagedRequest, listing: Listing) -> HttpResponse:
    """The second step: all ways for files to come. htmx asks for what is there now."""
    way = way_of(listing)
    shown = {"way": way, "stops": way.stops(Step.FILES), **desk(listing, request.user)}
    if request.htmx:  # type: ignore[attr-defined]
        return show(request, listing, "publish/_arrived.html", shown)
    return show(request, listing, "publish/files.html", shown)


@managed_page
def files(request: ManagedRequest, listing: Listing) -> HttpResponse:
    """What lies on main, what its history is, and room for more."""
    before = request.GET.get("before", "")
    shown = {
        **desk(listing, request.user),
        "way": way_of(listing),
        "history": commits_of(listing, before=int(before) if before.isdecimal() and len(before) < 19 else None),
        "is_older": bool(before),
        "tags": listing.refs.filter(kind=RefKind.TAG).select_related("commit").order_by("-pk"),
        "tag_form": TagForm(),
    }
    return show(request, listing, "manage/files.html", shown)


@require_POST
@managed_page
@answers_json
def look_at(request: ManagedRequest, listing: Listing) -> HttpResponse:
    """Names and sizes of what somebody dropped: the store's answer for each, before a byte is sent."""
    return JsonResponse({"files": look(listing.organization, arrivals_in(json_of(request)))})


@require_POST
@managed_page
@answers_json
def commit(request: ManagedRequest, listing: Listing) -> HttpResponse:
    """All that has arrived becomes one commit; answers with the page to go on with."""
    said = json_of(request)
    title, is_replacing = said.get("title"), said.get("replace") is True
    made = commit_arrivals(
        listing=listing, user=request.user, files=additions_in(said), is_replacing=is_replacing,
        title=title if isinstance(title, str) else "",
    )  # fmt: skip
    messages.success(request, _("Saved: %(title)s.") % {"title": made.title})
    if made.message:
        messages.info(request, made.message)
    url = way_of(listing).url(Step.FILES) if listing.status == ListingStatus.DRAFT else manage_url(listing, "files")
    return JsonResponse({"commit": made.oid, "url": url})


@require_POST
@managed_page
def delete(request: ManagedRequest, listing: Listing) -> HttpResponse:
    """Takes files out of main. Releases and older commits keep them."""
    paths = request.POST.getlist("path")
    if not paths:
        raise InvalidRequest(_("Choose the files to delete."), param="path")
    said = ngettext("Delete %(path)s", "Delete %(count)d files", len(paths)) % {"path": paths[0], "count": len(paths)}
    changes = [DeleteFile(path) for path in paths]
    commit_files(listing=listing, user=request.user, changes=changes, title=said)
    messages.success(request, _("Saved: %(title)s.") % {"title": said})
    return redirect(manage_url(listing, "files"))


@require_POST
@managed_page
def tag(request: ManagedRequest, listing: Listing) -> HttpResponse:
    """Gives main, as it is now, a name that stays; or takes such a name away."""
    form = TagForm(request.POST)
    name = request.POST.get("name", "")
    try:
        if "delete" in request.POST:
            delete_ref(listing=listing, user=request.user, kind=RefKind.TAG, name=name)
        elif form.is_valid():
            create_tag(listing=listing, user=request.user, **form.cleaned_data)
        else:
            raise InvalidRequest(_("Name the tag."))
    except StoreError as error:
        messages.error(request, error.message)
    return redirect(manage_url(listing, "files"))


@require_POST
@managed_page
def begin_import(request: ManagedRequest, listing: Listing) -> HttpResponse:
    """Sends a worker to another Hub."""
    form = ImportForm(request.POST)
    try:
        if not form.is_valid():
            raise InvalidRequest(_("Name the model as organization/name."))
        said = form.cleaned_data
        start_import(listing=listing, user=request.user, repo_id=said["repo_id"], revision=said["revision"] or "main")
    except StoreError as error:
        messages.error(request, error.message)
    return redirect(way_of(listing).url(Step.FILES))


@require_POST
@managed_page
def stop_import(request: ManagedRequest, listing: Listing) -> HttpResponse:
    """Calls the worker back."""
    job = newest_import(listing)
    if job is None:
        raise NotFound
    cancel_import(job=job, user=request.user)
    return redirect(way_of(listing).url(Step.FILES))
