"""``/api/listings/{organization}/{slug}/prices``: what a listing costs, has cost and will cost. Nano-dollars throughout."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from store.api.management.of_listing import OfListing, user_of, valid
from store.catalog.actions.prices import PriceSpec, cancel_scheduled_price, set_price
from store.catalog.commissions import commission_of
from store.catalog.models import CommissionRule, Price


class PriceSerializer(serializers.ModelSerializer[Price]):
    """Nano-dollars per million tokens of a class, and per request; in force from ``starts_at`` on."""

    class Meta:
        model = Price
        fields = (
            "id", "input_nano", "cached_input_nano", "output_nano", "request_nano", "training_nano", "free_nano", "derivatives_allowed",
            "royalty_ppm", "starts_at", "created_at",
        )  # fmt: skip


class NewPrice(serializers.Serializer[Price]):
    """``cached_input_nano`` is the input's price where it is not named; ``starts_at`` now. The rules are those of the verb."""

    input_nano = serializers.IntegerField()
    output_nano = serializers.IntegerField()
    cached_input_nano = serializers.IntegerField(allow_null=True, default=None)
    request_nano = serializers.IntegerField(default=0)
    training_nano = serializers.IntegerField(default=0)
    free_nano = serializers.IntegerField(default=0)
    derivatives_allowed = serializers.BooleanField(default=False)
    royalty_ppm = serializers.IntegerField(default=0)
    starts_at = serializers.DateTimeField(allow_null=True, default=None)


class PriceViews(OfListing[Price]):
    """List (the newest first, scheduled ones included), set, take back a scheduled one."""

    serializer_class = PriceSerializer
    queryset = Price.objects.none()

    def get_permissions(self) -> Sequence[Any]:
        return (AllowAny(),) if self.action == "list" else super().get_permissions()

    @extend_schema(responses=PriceSerializer(many=True))
    def list(self, request: Request, **_address: str) -> Response:
        return self.page(self.seen().prices.all())

    @extend_schema(request=NewPrice, responses={201: PriceSerializer})
    def create(self, request: Request, **_address: str) -> Response:
        """A higher price needs a ``starts_at`` that gives the holders of keys notice."""
        terms = valid(NewPrice(data=request.data))
        starts_at = terms.pop("starts_at")
        made = set_price(listing=self.own(), user=user_of(request), price=PriceSpec(**terms), starts_at=starts_at)
        return Response(PriceSerializer(made).data, status=status.HTTP_201_CREATED)

    @extend_schema(responses=PriceSerializer)
    def destroy(self, request: Request, **_address: str) -> Response:
        """Answers with the price that will be in force instead."""
        listing = self.own()
        price = self.one(listing.prices.all())
        instead = cancel_scheduled_price(listing=listing, user=user_of(request), price=price)
        return Response(PriceSerializer(instead).data)


class CommissionSerializer(serializers.Serializer[Any]):
    """The store's share of a charge, in parts per million, for calls that begin now; ``rule`` and what is known of it are null where
    no rule applies. ``scope`` is global, category, provider or campaign.
    """

    ppm = serializers.IntegerField()
    rule = serializers.CharField(source="rule.name", default=None, allow_null=True)
    scope = serializers.CharField(source="rule.scope", default=None, allow_null=True)
    starts_at = serializers.DateTimeField(source="rule.starts_at", default=None, allow_null=True)
    ends_at = serializers.DateTimeField(source="rule.ends_at", default=None, allow_null=True)


class CommissionViews(OfListing[CommissionRule]):
    """For those who sell the model."""

    serializer_class = CommissionSerializer
    queryset = CommissionRule.objects.none()

    @extend_schema(responses=CommissionSerializer)
    def retrieve(self, request: Request, **_address: str) -> Response:
        """What the store has of each call, and by which rule."""
        return Response(CommissionSerializer(commission_of(self.own())).data)
