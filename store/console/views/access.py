"""The gate of a model whose files are not for everybody: asking, answering, and the list of both."""

from __future__ import annotations

import csv

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from store.catalog.actions.access import ask_access, grant_access, refuse_access, revoke_access
from store.catalog.models import AccessRequest, AccessStatus, Listing, Weights
from store.console.managed import ManagedRequest, manage_url, managed_page, show
from store.console.pages import MemberRequest, page
from store.errors import InvalidRequest, StoreError
from store.spreadsheet import plain

PER_PAGE = 50
ANSWERS = {"grant": grant_access, "refuse": refuse_access, "revoke": revoke_access}


@managed_page
def queue(request: ManagedRequest, listing: Listing) -> HttpResponse:
    """Who asked for the files, those who wait first."""
    asked = listing.access_requests.select_related("user", "decided_by")
    status = request.GET.get("status", AccessStatus.PENDING)
    status = status if status in AccessStatus.values else AccessStatus.PENDING
    before = request.GET.get("before", "")
    rows = asked.filter(status=status).order_by("-id")
    found = list((rows.filter(id__lt=int(before)) if before.isdecimal() and len(before) < 19 else rows)[: PER_PAGE + 1])
    shown = {
        "requests": found[:PER_PAGE],
        "older": found[PER_PAGE - 1].pk if len(found) > PER_PAGE else None,
        "is_older": bool(before),
        "status": status,
        "statuses": [(value, label, asked.filter(status=value).count()) for value, label in AccessStatus.choices],
        "is_gated": listing.weights == Weights.GATED,
    }
    return show(request, listing, "manage/access.html", shown)


@require_POST
@managed_page
def answer(request: ManagedRequest, listing: Listing, pk: int) -> HttpResponse:
    """Lets somebody in, or does not, or no more."""
    access = get_object_or_404(listing.access_requests, pk=pk)
    verb = ANSWERS.get(request.POST.get("answer", ""))
    if verb is None:
        raise InvalidRequest(_("Grant, refuse or revoke."), param="answer")
    reason = {} if verb is grant_access else {"reason": request.POST.get("reason", "")}
    try:
        verb(access=access, user=request.user, **reason)
    except StoreError as error:
        messages.error(request, error.message)
    return redirect(f"{manage_url(listing, 'access')}?status={request.POST.get('back', AccessStatus.PENDING)}")


@managed_page
def as_csv(request: ManagedRequest, listing: Listing) -> HttpResponse:
    """Every request with its answers."""
    response = HttpResponse(content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{listing.slug}-access.csv"'
    rows = csv.writer(response)
    rows.writerow(["asked_at", "email", "name", "status", "expires_at", "reason", "answers"])
    for each in listing.access_requests.select_related("user").order_by("id").iterator():
        answers = "\n".join(f"{question}: {said}" for question, said in each.answers)
        times = [each.created_at.isoformat(), each.expires_at.isoformat() if each.expires_at else ""]
        row = [times[0], each.user.email, each.user.name, each.status, times[1], each.reason, answers]
        rows.writerow(map(plain, row))
    return response


@login_required
@page
def ask(request: MemberRequest, organization: str, slug: str) -> HttpResponse:
    """The gate from outside: its questions, or what became of the answers."""
    visible = Listing.objects.visible_to(request.user).named(f"{organization}/{slug}").select_related("organization")
    listing = get_object_or_404(visible, weights=Weights.GATED)
    error = ""
    if request.method == "POST":
        try:
            ask_access(listing=listing, user=request.user, answers=request.POST.getlist("answer"))
            return redirect(request.path)
        except StoreError as refusal:
            error = refusal.message
    mine = AccessRequest.objects.filter(listing=listing, user=request.user).first()
    said = request.POST.getlist("answer") or [answer for _question, answer in (mine.answers if mine else [])]
    asked = [
        (question, said[index] if index < len(said) else "") for index, question in enumerate(listing.gate_questions)
    ]
    shown = {"listing": listing, "access": mine, "questions": asked, "error": error,
             "is_open": AccessRequest.objects.opening(request.user).filter(listing=listing).exists()}  # fmt: skip
    return render(request, "console/access.html", shown, status=422 if error else 200)
