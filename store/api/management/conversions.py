"""``/api/listings/{organization}/{slug}/conversions``: a pickled state dict into safetensors, in a sandbox on a worker."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from store.accounts.models import Organization
from store.api.management.of_listing import OfListing, user_of, valid
from store.catalog.models import Conversion, Listing
from store.errors import NotFound
from store.uploads.conversions import UNDER_WAY, cancel_conversion, start_conversion
from store.uploads.models import Upload


class ConversionSerializer(serializers.ModelSerializer[Conversion]):
    """``notes`` are sentences for the owner; ``commit`` has the result, on main."""

    base = serializers.SlugRelatedField[Any](slug_field="digest", read_only=True)
    commit = serializers.SlugRelatedField[Any](slug_field="oid", read_only=True)

    class Meta:
        model = Conversion
        fields = ("id", "upload_id", "base", "status", "progress", "notes", "error", "commit", "created_at", "ended_at")


class NewConversion(serializers.Serializer[Conversion]):
    """``upload_id``: a complete upload of purpose "conversion". ``base``: the listing whose config says what is in it."""

    upload_id = serializers.UUIDField()
    base = serializers.CharField(max_length=200)


class ConversionViews(OfListing[Conversion]):
    """List, start, look, cancel."""

    serializer_class = ConversionSerializer
    queryset = Conversion.objects.none()

    def list(self, request: Request, **_address: str) -> Response:
        return self.page(self._own_rows())

    def retrieve(self, request: Request, **_address: str) -> Response:
        return Response(ConversionSerializer(self.one(self._own_rows())).data)

    @extend_schema(request=NewConversion, responses={201: ConversionSerializer})
    def create(self, request: Request, **_address: str) -> Response:
        asked = valid(NewConversion(data=request.data))
        mine = Organization.objects.visible_to(request.user)
        upload = Upload.objects.filter(pk=asked["upload_id"], organization__in=mine).first()
        named = Listing.objects.visible_to(request.user).filter(pk__in=Listing.objects.named(asked["base"]))
        base = named.select_related("current_release").first()
        if upload is None:
            raise NotFound("There is no such upload.", param="upload_id")
        if base is None or base.current_release is None:
            raise NotFound("There is no such model.", param="base")
        made = start_conversion(listing=self.own(), user=user_of(request), upload=upload, base=base.current_release)
        return Response(ConversionSerializer(made).data, status=status.HTTP_201_CREATED)

    @extend_schema(request=None, responses=ConversionSerializer)
    def cancel(self, request: Request, **_address: str) -> Response:
        """Ends it; the file stays, for another base."""
        conversion = self.one(self._own_rows())
        if conversion.status in UNDER_WAY:
            cancel_conversion(listing=self.own(), user=user_of(request))
        return Response(ConversionSerializer(self.one(self._own_rows())).data)

    def _own_rows(self) -> Any:
        return self.own().conversions.select_related("base", "commit")
