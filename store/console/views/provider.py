"""Selling: enrolment, and then what was earned."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _

from store.accounts.actions import ENROLLING_ROLES, become_provider
from store.accounts.models import Organization, ProviderProfile
from store.catalog.actions.permission import PUBLISHING_ROLES
from store.console.context import role_in
from store.console.forms.people import ProviderForm
from store.console.pages import MemberRequest, console_page
from store.console.selling import DAYS, earned_lately_nano, sold
from store.console.statement import earnings_of


@console_page
def provider(request: MemberRequest, organization: Organization) -> HttpResponse:
    """The provider's dashboard; before enrolment, the invitation. The form does for both."""
    profile = ProviderProfile.objects.filter(organization=organization).first()
    form = ProviderForm(request.POST or None, instance=profile)
    if form.is_valid():
        become_provider(organization=organization, user=request.user, **form.cleaned_data)
        messages.success(request, _("Saved.") if profile else _("You are a provider now. Publish your first model."))
        return redirect("console:provider")
    role = role_in(organization, request.user)
    shown: dict[str, Any] = {
        "form": form,
        "profile": profile,
        "may_enroll": role in ENROLLING_ROLES,
        "may_publish": role in PUBLISHING_ROLES,
        "days": DAYS,
    }
    if profile:
        earnings = earnings_of(organization)
        shown |= {"earnings": earnings, "earned_lately": earned_lately_nano(earnings), "listings": sold(organization)}
    return render(request, "console/provider.html", shown, status=422 if form.errors else 200)
