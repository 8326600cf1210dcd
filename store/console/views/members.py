"""Organizations that people share: made, their members, invitations."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from store.accounts.invitations import accept_invitation, invitation_of, invite_member, revoke_invitation, user_has
from store.accounts.members import (
    MANAGERS,
    change_role,
    create_organization,
    remove_member,
    transfer_ownership,
)
from store.accounts.models import Membership, Organization
from store.console.context import ORGANIZATION_KEY, role_in
from store.console.forms.members import InviteForm, OrganizationForm, given_by
from store.console.pages import MemberRequest, console_page
from store.errors import StoreError


@console_page
def members(request: MemberRequest, organization: Organization) -> HttpResponse:
    """Who belongs to the organization; for its managers, the form that invites."""
    own = role_in(organization, request.user)
    form = InviteForm(request.POST or None, own=own)
    if form.is_valid():
        try:
            invited = invite_member(organization=organization, user=request.user, **form.cleaned_data)
            messages.success(request, _("An invitation is on its way to %(email)s.") % {"email": invited.email})
            return redirect("console:members")
        except StoreError as error:
            form.refuse(error)
    shown = {
        "form": form,
        "own": own,
        "may_manage": own in MANAGERS,
        "roles": given_by(own),
        "members": organization.memberships.select_related("user").order_by("created_at"),
        "invitations": organization.invitations.open().select_related("invited_by").order_by("-id"),
    }
    return render(request, "console/members.html", shown, status=422 if form.errors else 200)


@console_page
def new_organization(request: MemberRequest, organization: Organization) -> HttpResponse:
    """Makes an organization, and acts for it from there on."""
    form = OrganizationForm(request.POST or None)
    if form.is_valid():
        try:
            made = create_organization(user=request.user, **form.cleaned_data)
            request.session[ORGANIZATION_KEY] = made.pk
            messages.success(request, _("%(name)s is yours, and you act for it now.") % {"name": made.slug})
            return redirect("console:members")
        except StoreError as error:
            form.refuse(error)
    return render(request, "console/organization_new.html", {"form": form}, status=422 if form.errors else 200)


@require_POST
@console_page
def role(request: MemberRequest, organization: Organization, pk: int) -> HttpResponse:
    """Another role for a member."""
    member = _member(organization, pk).user
    change_role(organization=organization, user=request.user, member=member, role=request.POST.get("role", ""))
    messages.success(request, _("The role was changed."))
    return redirect("console:members")


@require_POST
@console_page
def remove(request: MemberRequest, organization: Organization, pk: int) -> HttpResponse:
    """Takes a member out, or lets somebody leave."""
    member = _member(organization, pk).user
    remove_member(organization=organization, user=request.user, member=member)
    if member == request.user:
        request.session.pop(ORGANIZATION_KEY, None)
        messages.success(request, _("You have left %(name)s.") % {"name": organization.slug})
        return redirect("console:settings")
    messages.success(request, _("%(who)s is no member any more.") % {"who": member.email})
    return redirect("console:members")


@require_POST
@console_page
def transfer(request: MemberRequest, organization: Organization, pk: int) -> HttpResponse:
    """Hands the organization over."""
    member = _member(organization, pk).user
    transfer_ownership(organization=organization, user=request.user, member=member)
    messages.success(request, _("%(who)s owns %(name)s now.") % {"who": member.email, "name": organization.slug})
    return redirect("console:members")


@require_POST
@console_page
def revoke(request: MemberRequest, organization: Organization, pk: int) -> HttpResponse:
    """Takes an invitation back."""
    found = get_object_or_404(organization.invitations.select_related("organization"), pk=pk)
    revoke_invitation(invitation=found, user=request.user)
    messages.success(request, _("The invitation was taken back."))
    return redirect("console:members")


@console_page
def invitation(request: MemberRequest, organization: Organization, signed: str) -> HttpResponse:
    """What somebody is invited to, and the button that accepts."""
    found = invitation_of(signed)
    if request.method == "POST":
        accept_invitation(invitation=found, user=request.user)
        request.session[ORGANIZATION_KEY] = found.organization_id
        messages.success(request, _("Welcome to %(name)s.") % {"name": found.organization.slug})
        return redirect("console:members")
    if found.organization.memberships.filter(user=request.user).exists():
        return _to_organization(request, found.organization_id)
    is_open = found.organization.invitations.open().filter(pk=found.pk).exists()
    shown = {"invitation": found, "is_open": is_open, "is_mine": user_has(request.user, found.email)}
    return render(request, "console/invitation.html", shown)


def _to_organization(request: MemberRequest, pk: int) -> HttpResponseRedirect:
    request.session[ORGANIZATION_KEY] = pk
    return redirect("console:members")


def _member(organization: Organization, pk: int) -> Membership:
    return get_object_or_404(organization.memberships.select_related("user"), pk=pk)
