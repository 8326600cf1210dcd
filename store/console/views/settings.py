"""One's own account: name, organizations, and the way to everything that allauth keeps."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from store.accounts.actions import update_profile
from store.accounts.models import Membership, Organization
from store.console.context import ORGANIZATION_KEY
from store.console.forms.people import ProfileForm
from store.console.pages import MemberRequest, console_page


@console_page
def settings(request: MemberRequest, organization: Organization) -> HttpResponse:
    """Name, organizations, sign-in."""
    form = ProfileForm(request.POST or None, initial={"name": request.user.name})
    if form.is_valid():
        update_profile(user=request.user, name=form.cleaned_data["name"])
        messages.success(request, _("Saved."))
        return redirect("console:settings")
    memberships = (
        Membership.objects.filter(user=request.user).select_related("organization").order_by("organization__slug")
    )
    return render(request, "console/settings.html", {"form": form, "memberships": memberships})


@require_POST
@console_page
def switch(request: MemberRequest, organization: Organization, pk: int) -> HttpResponse:
    """From here on the user acts for another of their organizations."""
    chosen = get_object_or_404(Organization.objects.visible_to(request.user), pk=pk)
    request.session[ORGANIZATION_KEY] = chosen.pk
    messages.success(request, _("You act for %(organization)s now.") % {"organization": chosen.slug})
    return redirect("console:keys")
