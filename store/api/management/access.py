"""``/api/listings/{organization}/{slug}/access``: who asked for a gated listing's files, and what they were told."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from store.api.management.of_listing import OfListing, user_of, valid
from store.catalog.actions.access import ask_access, grant_access, refuse_access, revoke_access
from store.catalog.models import AccessRequest


class AccessSerializer(serializers.ModelSerializer[AccessRequest]):
    """``answers`` are pairs of question and answer."""

    user = serializers.CharField(source="user.get_full_name", read_only=True)

    class Meta:
        model = AccessRequest
        fields = ("id", "user", "answers", "status", "reason", "created_at", "decided_at", "expires_at")


class Answers(serializers.Serializer[AccessRequest]):
    """An answer to each of the listing's questions, in their order."""

    answers = serializers.ListField(child=serializers.CharField(max_length=2000), default=list, max_length=20)


class AccessReason(serializers.Serializer[AccessRequest]):
    """Why, for the one who asked."""

    reason = serializers.CharField(default="", allow_blank=True, max_length=500)


class AccessViews(OfListing[AccessRequest]):
    """Ask, and look at one's own; for the listing's organization: list, grant, refuse, revoke."""

    serializer_class = AccessSerializer
    queryset = AccessRequest.objects.none()

    def list(self, request: Request, **_address: str) -> Response:
        return self.page(self.own().access_requests.select_related("user"))

    @extend_schema(request=Answers, responses={201: AccessSerializer})
    def create(self, request: Request, **_address: str) -> Response:
        answers = valid(Answers(data=request.data))["answers"]
        made = ask_access(listing=self.seen(), user=user_of(request), answers=answers)
        return Response(AccessSerializer(made).data, status=status.HTTP_201_CREATED)

    @extend_schema(responses=AccessSerializer)
    @action(detail=False)
    def mine(self, request: Request, **_address: str) -> Response:
        """What became of the user's own request; null where they never asked."""
        found = self.seen().access_requests.filter(user=user_of(request)).first()
        return Response(AccessSerializer(found).data if found else None)

    @extend_schema(request=None, responses=AccessSerializer)
    @action(detail=True, methods=["post"])
    def grant(self, request: Request, **_address: str) -> Response:
        return self._shown(grant_access(access=self._asked(), user=user_of(request)))

    @extend_schema(request=AccessReason, responses=AccessSerializer)
    @action(detail=True, methods=["post"])
    def refuse(self, request: Request, **_address: str) -> Response:
        return self._shown(
            refuse_access(access=self._asked(), user=user_of(request), **valid(AccessReason(data=request.data)))
        )

    @extend_schema(request=AccessReason, responses=AccessSerializer)
    @action(detail=True, methods=["post"])
    def revoke(self, request: Request, **_address: str) -> Response:
        return self._shown(
            revoke_access(access=self._asked(), user=user_of(request), **valid(AccessReason(data=request.data)))
        )

    def _asked(self) -> AccessRequest:
        return self.one(self.own().access_requests.select_related("user", "listing__organization"))

    def _shown(self, access: AccessRequest) -> Response:
        return Response(AccessSerializer(access).data)
