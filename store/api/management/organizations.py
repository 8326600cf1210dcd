"""``/api/organizations``: those of the user, their members and invitations."""

from __future__ import annotations

from typing import TypeVar

from django.db.models import Model, QuerySet
from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status, viewsets
from rest_framework.request import Request
from rest_framework.response import Response

from store.accounts.invitations import invite_member, revoke_invitation
from store.accounts.members import (
    change_role,
    create_organization,
    remove_member,
    rename_organization,
    transfer_ownership,
)
from store.accounts.models import Invitation, Membership, Organization, Role, TokenScope
from store.api.management.of_listing import user_of, valid
from store.api.management.pages import NewestFirst
from store.errors import NotFound

M = TypeVar("M", bound=Model)


class OrganizationSerializer(serializers.ModelSerializer[Organization]):
    """``role`` is the user's own there."""

    role = serializers.SerializerMethodField()
    is_personal = serializers.SerializerMethodField()

    class Meta:
        model = Organization
        fields = ("slug", "name", "role", "is_personal", "created_at")

    def get_role(self, organization: Organization) -> str:
        return organization.memberships.get(user=self.context["request"].user).role

    def get_is_personal(self, organization: Organization) -> bool:
        return organization.personal_of_id is not None


class NewOrganization(serializers.Serializer[Organization]):
    """The rules are those of the verb."""

    slug = serializers.CharField()
    name = serializers.CharField(default="", allow_blank=True)


class NewName(serializers.Serializer[Organization]):
    name = serializers.CharField()


class MemberSerializer(serializers.ModelSerializer[Membership]):
    """``id`` names the member in the addresses."""

    email = serializers.EmailField(source="user.email")
    name = serializers.CharField(source="user.name")

    class Meta:
        model = Membership
        fields = ("id", "email", "name", "role", "created_at")


class NewRole(serializers.Serializer[Membership]):
    role = serializers.ChoiceField(choices=Role.choices)


class InvitationSerializer(serializers.ModelSerializer[Invitation]):
    """An invitation that is open."""

    class Meta:
        model = Invitation
        fields = ("id", "email", "role", "created_at", "expires_at", "sent_at")


class NewInvitation(NewRole):
    email = serializers.CharField()


class OrganizationViews(viewsets.GenericViewSet[Organization]):
    """List, make, read, rename."""

    serializer_class = OrganizationSerializer
    pagination_class = NewestFirst
    queryset = Organization.objects.none()
    write_scope = TokenScope.MEMBERS

    def list(self, request: Request) -> Response:
        shown = self.paginate_queryset(Organization.objects.visible_to(request.user))
        return self.get_paginated_response(self.get_serializer(shown, many=True).data)

    @extend_schema(request=NewOrganization, responses={201: OrganizationSerializer})
    def create(self, request: Request) -> Response:
        made = create_organization(user=user_of(request), **valid(NewOrganization(data=request.data)))
        return Response(self.get_serializer(made).data, status=status.HTTP_201_CREATED)

    def retrieve(self, request: Request, slug: str) -> Response:
        return Response(self.get_serializer(organization_named(request, slug)).data)

    @extend_schema(request=NewName, responses=OrganizationSerializer)
    def partial_update(self, request: Request, slug: str) -> Response:
        name = valid(NewName(data=request.data))["name"]
        rename_organization(organization=organization_named(request, slug), user=user_of(request), name=name)
        return self.retrieve(request, slug)


class OfOrganization(viewsets.GenericViewSet[M]):
    """What belongs to one organization of the user's."""

    pagination_class = NewestFirst
    write_scope = TokenScope.MEMBERS

    def organization(self) -> Organization:
        """Raises NotFound."""
        return organization_named(self.request, self.kwargs["slug"])

    def one(self, rows: QuerySet[M]) -> M:
        """The row of the address among these. Raises NotFound."""
        found = rows.filter(pk=self.kwargs["pk"]).first()
        if found is None:
            raise NotFound
        return found

    def page(self, rows: QuerySet[M]) -> Response:
        """A page of the rows."""
        shown = self.paginate_queryset(rows)
        return self.get_paginated_response(self.get_serializer(shown, many=True).data)


class MemberViews(OfOrganization[Membership]):
    """List; change a role; take out, or leave; hand over."""

    serializer_class = MemberSerializer
    queryset = Membership.objects.none()

    def list(self, request: Request, **_address: str) -> Response:
        return self.page(self._rows())

    @extend_schema(request=NewRole, responses=MemberSerializer)
    def partial_update(self, request: Request, **_address: str) -> Response:
        role, member = valid(NewRole(data=request.data))["role"], self.one(self._rows()).user
        change_role(organization=self.organization(), user=user_of(request), member=member, role=role)
        return Response(self.get_serializer(self.one(self._rows())).data)

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, **_address: str) -> Response:
        remove_member(organization=self.organization(), user=user_of(request), member=self.one(self._rows()).user)
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(request=None, responses=MemberSerializer)
    def transfer(self, request: Request, **_address: str) -> Response:
        """Makes the member the owner in the place of who asks."""
        transfer_ownership(organization=self.organization(), user=user_of(request), member=self.one(self._rows()).user)
        return Response(self.get_serializer(self.one(self._rows())).data)

    def _rows(self) -> QuerySet[Membership]:
        return self.organization().memberships.select_related("user")


class InvitationViews(OfOrganization[Invitation]):
    """List those that are open; invite; take back."""

    serializer_class = InvitationSerializer
    queryset = Invitation.objects.none()

    def list(self, request: Request, **_address: str) -> Response:
        return self.page(self._rows())

    @extend_schema(request=NewInvitation, responses={201: InvitationSerializer})
    def create(self, request: Request, **_address: str) -> Response:
        wanted = valid(NewInvitation(data=request.data))
        made = invite_member(organization=self.organization(), user=user_of(request), **wanted)
        return Response(self.get_serializer(made).data, status=status.HTTP_201_CREATED)

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, **_address: str) -> Response:
        revoke_invitation(invitation=self.one(self._rows()), user=user_of(request))
        return Response(status=status.HTTP_204_NO_CONTENT)

    def _rows(self) -> QuerySet[Invitation]:
        return self.organization().invitations.open().select_related("organization")


def organization_named(request: Request, slug: str) -> Organization:
    """An organization of the user's. Raises NotFound."""
    found = Organization.objects.visible_to(request.user).filter(slug=slug).first()
    if found is None:
        raise NotFound(_("There is no such organization."))
    return found
