"""Asking for a proof now."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _

from store.backoffice.models import AuditSource
from store.backoffice.proving import ask_for_proof
from store.backoffice.views.actions import StaffRequest


def prove(request: StaffRequest, source: AuditSource, context: dict[str, Any]) -> HttpResponse:
    """A worker makes it; the row says when it has."""
    if request.method != "POST":
        return render(request, "backoffice/prove.html", context | {"title": _("Prove now"), "source": source.label})
    run = ask_for_proof(source=source, user=request.user)
    messages.success(request, _("A worker is making it. Look again in a moment."))
    return redirect("admin:backoffice_auditrun_change", run.pk)
