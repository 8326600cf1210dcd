"""A provider's monthly proof: for the provider, and for whoever has its link."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse

from store.accounts.models import Organization
from store.backoffice.proofs import lines, link_of, month_named, months_of, proof_behind, proof_of
from store.console.pages import MemberRequest, console_page, page
from store.payouts.accounts import require_cashier


@console_page
def proofs(request: MemberRequest, organization: Organization) -> HttpResponse:
    """The months."""
    require_cashier(organization, request.user)
    return render(request, "console/proofs.html", {"months": months_of(organization)})


@console_page
def proof(request: MemberRequest, organization: Organization, month: str) -> HttpResponse:
    """One month, and the link that shows it to others."""
    require_cashier(organization, request.user)
    found = month_named(organization, month)
    link = settings.PUBLIC_URL + reverse("console:shared-proof", args=[link_of(organization, found)])
    return render(request, "console/proof.html", {"proof": proof_of(organization, found), "link": link})


@console_page
def proof_lines(request: MemberRequest, organization: Organization, month: str) -> HttpResponse:
    """The lines that the digest is over, as a file."""
    require_cashier(organization, request.user)
    found = month_named(organization, month)
    headers = {"Content-Disposition": f'attachment; filename="proof-{organization.slug}-{month}.csv"'}
    return HttpResponse(lines(organization, found), content_type="text/csv; charset=utf-8", headers=headers)


@page
def shared(request: HttpRequest, link: str) -> HttpResponse:
    """The month behind a signed link, without the lines."""
    return render(request, "console/proof.html", {"proof": proof_behind(link)})
