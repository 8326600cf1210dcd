"""Statements: a month in sum, and files of any days to the single run."""

from __future__ import annotations

from typing import cast

from django.http import HttpResponse
from django.shortcuts import redirect, render

from store.accounts.models import Organization
from store.console.forms.statements import StatementForm
from store.console.pages import MemberRequest, console_page
from store.payouts.accounts import require_cashier
from store.payouts.statements.period import parse_month
from store.payouts.statements.responses import months_of, statement_response
from store.payouts.statements.summary import summary


@console_page
def statements(request: MemberRequest, organization: Organization) -> HttpResponse:
    """The newest month, or the one that was asked for, and files of all."""
    require_cashier(organization, request.user)
    form = StatementForm(request.GET if "first" in request.GET else None)
    if form.is_valid():
        return redirect("console:statement-file", form.period().name, form.cleaned_data["extension"])
    months = months_of(organization)
    asked = request.GET.get("month")
    shown = parse_month(asked) if asked else months[0] if months else None
    context = {"form": form, "months": months, "summary": summary(organization, shown) if shown else None}
    return render(request, "console/statements.html", context, status=422 if form.errors else 200)


@console_page
def file(request: MemberRequest, organization: Organization, period: str, extension: str) -> HttpResponse:
    """A statement as a download."""
    require_cashier(organization, request.user)
    made = statement_response(organization, period, extension)
    return cast(HttpResponse, made)  # one that is sent while it is made has headers like any other
