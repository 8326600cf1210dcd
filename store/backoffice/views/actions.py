"""Asking for something, confirming it, and deciding what others have asked for."""

from __future__ import annotations

from typing import Any, Final

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _

from store.accounts.models import User
from store.backoffice.actions import approve, refuse, request_action
from store.backoffice.actions.requesting import needs_approval
from store.backoffice.actions.weighing import weigh
from store.backoffice.asking import FORMS, AskForm
from store.backoffice.models import ActionKind, ActionStatus, AdminAction
from store.errors import StoreError

FILLED_IN: Final = {"organization", "topup", "code", "payout"}  # fields that the page of a row knows


class StaffRequest(HttpRequest):
    """A request of one of those who run the store. Never made, only named."""

    user: User


def ask(request: StaffRequest, kind: ActionKind, context: dict[str, Any]) -> HttpResponse:
    """The form; once it is whole, what it comes to; once that is confirmed, it is done or waits for a second person."""
    form = FORMS[kind](
        request.POST or None, initial={name: request.GET[name] for name in FILLED_IN & request.GET.keys()}
    )
    shown = context | {"form": form, "title": kind.label}
    if not form.is_valid():
        return render(request, "backoffice/ask.html", shown)
    if "confirm" in request.POST:
        return _asked(request, form, shown)
    if "change" in request.POST:
        return render(request, "backoffice/ask.html", shown)
    try:
        wish = weigh(form.wish())
    except StoreError as error:
        return _refused(request, form, shown, error)
    form.fix(wish)
    return render(
        request, "backoffice/confirm.html", shown | {"wish": wish, "waits": needs_approval(wish, request.user)}
    )


def _asked(request: StaffRequest, form: AskForm, shown: dict[str, Any]) -> HttpResponse:
    try:
        action = request_action(wish=form.wish(), user=request.user)
    except StoreError as error:
        return _refused(request, form, shown, error)
    if action.status == ActionStatus.WAITING:
        messages.info(request, _("It waits for a second person."))
    else:
        messages.success(request, _("It is done."))
    return redirect("admin:backoffice_adminaction_change", action.pk)


def _refused(request: StaffRequest, form: AskForm, shown: dict[str, Any], error: StoreError) -> HttpResponse:
    form.add_error(error.param if error.param in form.fields else None, error.message)
    return render(request, "backoffice/ask.html", shown)


def decide(request: StaffRequest, action: AdminAction, context: dict[str, Any]) -> HttpResponse:
    """A second person looks at what was asked for, and approves or refuses it."""
    shown = context | {"action": action, "title": _("Approve or refuse"), "answer": request.POST.get("answer", "")}
    if request.method != "POST":
        return render(request, "backoffice/decide.html", shown)
    verb = approve if "approve" in request.POST else refuse
    try:
        verb(action=action, user=request.user, answer=shown["answer"])
    except StoreError as error:
        return render(request, "backoffice/decide.html", shown | {"error": error.message}, status=error.status)
    messages.success(request, _("It was approved, and is done.") if verb is approve else _("It was refused."))
    return redirect("admin:backoffice_adminaction_change", action.pk)
