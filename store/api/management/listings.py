"""``/api/listings``: what can be called, and the prices in force."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from rest_framework import mixins, serializers, viewsets
from rest_framework.permissions import AllowAny

from store.api.management.pages import NewestFirst
from store.catalog.models import Listing, Price


class PriceSerializer(serializers.ModelSerializer[Price]):
    """Nano-dollars per million tokens of a class, and per request."""

    class Meta:
        model = Price
        fields = ("input_nano", "cached_input_nano", "output_nano", "request_nano", "starts_at")


class ListingSerializer(serializers.ModelSerializer[Listing]):
    """A listing with its current release and price; each is null where there is none."""

    name = serializers.CharField(read_only=True)
    digest = serializers.CharField(source="current_release.digest", default=None)
    context_length = serializers.IntegerField(source="current_release.context_length", default=None)
    parameters = serializers.IntegerField(source="current_release.parameters", default=None)
    price = serializers.SerializerMethodField()

    class Meta:
        model = Listing
        fields = (
            "name", "title", "summary", "licence", "tags", "status", "is_private", "published_at", "digest", "context_length",
            "parameters", "price",
        )  # fmt: skip

    def get_price(self, listing: Listing) -> dict[str, Any] | None:
        price = listing.prices.current().first()
        return PriceSerializer(price).data if price else None


class ListingViewSet(mixins.ListModelMixin, viewsets.GenericViewSet[Listing]):
    """List; anybody may read what is public."""

    permission_classes = [AllowAny]
    serializer_class = ListingSerializer
    pagination_class = NewestFirst

    def get_queryset(self) -> QuerySet[Listing]:
        return Listing.objects.visible_to(self.request.user).select_related("organization", "current_release")
