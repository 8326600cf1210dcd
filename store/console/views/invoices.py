"""Receipts, credit notes and monthly statements, and what stands on them."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _

from store.accounts.models import Organization
from store.billing.actions import BUYERS
from store.billing.details import change_details, details_of
from store.billing.models import Paper
from store.billing.papers.sheet import as_pdf, sheet_of
from store.console.context import role_in
from store.console.forms.invoices import BillingDetailsForm, PaperFilter
from store.console.invoices import papers_page
from store.console.pages import MemberRequest, console_page
from store.errors import InvalidRequest, NotFound


@console_page
def invoices(request: MemberRequest, organization: Organization) -> HttpResponse:
    """All papers, newest first, by kind and year."""
    form = PaperFilter(request.GET)
    before = request.GET.get("before", "")
    page = papers_page(organization, before=before, **form.chosen())
    shown = {
        "page": page,
        "form": form,
        "is_older": bool(before),
        "may_buy": role_in(organization, request.user) in BUYERS,
    }
    return render(request, "console/invoices.html", shown)


@console_page
def invoice(request: MemberRequest, organization: Organization, number: str) -> HttpResponse:
    """One paper, as a page that prints well."""
    paper = _paper(organization, number)
    return render(request, "console/invoice.html", {"paper": paper, "sheet": sheet_of(paper)})


@console_page
def invoice_pdf(request: MemberRequest, organization: Organization, number: str) -> HttpResponse:
    """The same as PDF."""
    paper = _paper(organization, number)
    headers = {"content-disposition": f'attachment; filename="{paper.number}.pdf"'}
    return HttpResponse(as_pdf(paper), content_type="application/pdf", headers=headers)


@console_page
def billing(request: MemberRequest, organization: Organization) -> HttpResponse:
    """Who the organization is on its invoices."""
    may_buy = role_in(organization, request.user) in BUYERS
    form = BillingDetailsForm(request.POST or None, instance=details_of(organization))
    if request.method == "POST" and form.is_valid():
        try:
            change_details(organization=organization, user=request.user, **form.cleaned_data)
            messages.success(request, _("Saved. It stands on what is issued from now on."))
            return redirect("console:billing")
        except InvalidRequest as error:
            form.add_error(error.param, error.message)
    shown = {"form": form, "may_buy": may_buy}
    return render(request, "console/billing.html", shown, status=422 if form.errors else 200)


def _paper(organization: Organization, number: str) -> Paper:
    found = Paper.objects.filter(organization=organization, number=number).first()
    if found is None:
        raise NotFound(_("There is no such invoice."))
    return found
