"""``/api/listings``: what can be called, and what one's own organizations publish."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers, status
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from store.accounts.actions import ensure_personal_organization
from store.accounts.models import Organization
from store.api.management.of_listing import OfListing, Reason, user_of, valid
from store.api.management.prices import PriceSerializer
from store.catalog.actions.listings import deprecate_listing, edit_listing, republish_listing, withdraw_listing
from store.catalog.actions.repositories import create_listing, delete_listing
from store.catalog.models import Listing, ListingStatus, Weights
from store.errors import NotFound


class ListingSerializer(serializers.ModelSerializer[Listing]):
    """A listing with its current release and price; each is null where there is none."""

    name = serializers.CharField(read_only=True)
    base: serializers.StringRelatedField[Listing] = serializers.StringRelatedField()
    digest = serializers.CharField(source="current_release.digest", default=None)
    context_length = serializers.IntegerField(source="current_release.context_length", default=None)
    parameters = serializers.IntegerField(source="current_release.parameters", default=None)
    price = serializers.SerializerMethodField()

    class Meta:
        model = Listing
        fields = (
            "name", "title", "summary", "licence", "tags", "task", "languages", "category", "base", "base_relation", "status",
            "status_reason", "shutdown_at", "is_private", "weights", "gate_questions", "gate_is_automatic", "gate_days", "created_at",
            "published_at", "digest", "context_length", "parameters", "price",
        )  # fmt: skip

    @extend_schema(responses=PriceSerializer)
    def get_price(self, listing: Listing) -> dict[str, Any] | None:
        price = listing.prices.current().first()
        return dict(PriceSerializer(price).data) if price else None


class NewListing(serializers.Serializer[Listing]):
    """``organization`` is the user's own where it is not named. A listing is private until it says otherwise."""

    organization = serializers.CharField(default=None)
    name = serializers.CharField(max_length=96)
    title = serializers.CharField(default="", allow_blank=True, max_length=150)
    is_private = serializers.BooleanField(default=True)


class Changes(serializers.Serializer[Listing]):
    """What may be changed by hand; all else is said by the card. The rules are those of the verb."""

    title = serializers.CharField(max_length=150)
    summary = serializers.CharField(max_length=300, allow_blank=True)
    category = serializers.CharField(max_length=40, allow_blank=True)
    is_private = serializers.BooleanField()
    weights = serializers.ChoiceField(choices=Weights.choices)
    gate_questions = serializers.ListField(child=serializers.CharField(max_length=300), max_length=20)
    gate_is_automatic = serializers.BooleanField()
    gate_days = serializers.IntegerField(allow_null=True, min_value=1, max_value=3650)


class Deprecation(serializers.Serializer[Listing]):
    """``shutdown_at``: when it is withdrawn."""

    shutdown_at = serializers.DateTimeField()
    reason = serializers.CharField(default="", allow_blank=True, max_length=4000)


ADDRESS = ("retrieve", "list")
FILTERS = [
    OpenApiParameter("organization", str, description="Only this organization's."),
    OpenApiParameter("status", str, enum=ListingStatus.values),
    OpenApiParameter("mine", bool, description="Only those of the user's organizations."),
]


class ListingViews(OfListing[Listing]):
    """Anybody reads what is public; its organization changes it."""

    serializer_class = ListingSerializer
    queryset = Listing.objects.none()

    def get_permissions(self) -> Sequence[Any]:
        return (AllowAny(),) if self.action in ADDRESS else super().get_permissions()

    @extend_schema(parameters=FILTERS, responses=ListingSerializer(many=True))
    def list(self, request: Request) -> Response:
        """Newest first. ``/api/search`` finds by words, facets and figures."""
        listings = Listing.objects.visible_to(request.user).select_related(
            "organization", "current_release", "base__organization"
        )
        asked = request.query_params
        if organization := asked.get("organization"):
            listings = listings.filter(organization__slug=organization)
        if wanted := asked.get("status"):
            listings = listings.filter(status=wanted)
        if asked.get("mine") in ("1", "true"):
            listings = listings.filter(organization__in=Organization.objects.visible_to(request.user))
        return self.page(listings)

    @extend_schema(request=NewListing, responses={201: ListingSerializer})
    def create(self, request: Request) -> Response:
        asked = valid(NewListing(data=request.data))
        organization = organization_of(request, asked["organization"])
        made = create_listing(
            organization=organization, user=user_of(request), slug=asked["name"], title=asked["title"],
            is_private=asked["is_private"],
        )  # fmt: skip
        return self._shown(made, status.HTTP_201_CREATED)

    def retrieve(self, request: Request, **_address: str) -> Response:
        return self._shown(self.seen())

    @extend_schema(request=Changes(partial=True), responses=ListingSerializer)
    def partial_update(self, request: Request, **_address: str) -> Response:
        changes = valid(Changes(data=request.data, partial=True))
        return self._shown(edit_listing(listing=self.own(), user=user_of(request), **changes))

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, **_address: str) -> Response:
        """Withdrawn and hidden; the name stays the organization's, who can make it anew."""
        delete_listing(listing=self.own(), user=user_of(request))
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(request=Deprecation, responses=ListingSerializer)
    def deprecate(self, request: Request, **_address: str) -> Response:
        asked = valid(Deprecation(data=request.data))
        return self._shown(deprecate_listing(listing=self.own(), user=user_of(request), **asked))

    @extend_schema(request=Reason, responses=ListingSerializer)
    def withdraw(self, request: Request, **_address: str) -> Response:
        asked = valid(Reason(data=request.data))
        return self._shown(withdraw_listing(listing=self.own(), user=user_of(request), **asked))

    @extend_schema(request=None, responses=ListingSerializer)
    def republish(self, request: Request, **_address: str) -> Response:
        return self._shown(republish_listing(listing=self.own(), user=user_of(request)))

    def _shown(self, listing: Listing, http_status: int = status.HTTP_200_OK) -> Response:
        return Response(ListingSerializer(listing).data, status=http_status)


def organization_of(request: Request, slug: str | None) -> Organization:
    """The user's organization of this name; their own where none is named. Raises NotFound."""
    if slug is None:
        return ensure_personal_organization(user_of(request))
    found = Organization.objects.visible_to(request.user).filter(slug=slug).first()
    if found is None:
        raise NotFound("There is no such organization.", param="organization")
    return found
