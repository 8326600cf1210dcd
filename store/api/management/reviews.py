"""``/api/listings/{organization}/{slug}/reviews`` and ``…/favourite``; ``/api/favourites``: what customers say and keep."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.decorators import action
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from store.api.management.listings import ListingSerializer
from store.api.management.of_listing import OfListing, user_of, valid
from store.reputation.actions import (
    add_favourite,
    delete_review,
    remove_favourite,
    reply_review,
    report_review,
    write_review,
)
from store.reputation.models import Favourite, Review


class ReviewSerializer(serializers.ModelSerializer[Review]):
    """A review by a customer, and the provider's reply (null where there is none)."""

    author = serializers.CharField(source="user.get_short_name", read_only=True)
    reply = serializers.SerializerMethodField()

    class Meta:
        model = Review
        fields = ("id", "author", "stars", "text", "created_at", "edited_at", "reply")

    def get_reply(self, review: Review) -> str | None:
        reply = getattr(review, "reply", None)
        return reply.text if reply else None


class NewReview(serializers.Serializer[Review]):
    """1 to 5 stars, and words if there are any."""

    stars = serializers.IntegerField(min_value=1, max_value=5)
    text = serializers.CharField(default="", allow_blank=True, max_length=4000)


class ReviewWords(serializers.Serializer[Any]):
    """A reply, or what is wrong."""

    text = serializers.CharField(max_length=4000)


class ReviewViews(OfListing[Review]):
    """Anybody reads; who paid for calls writes one; the provider replies; anybody signed in reports."""

    serializer_class = ReviewSerializer
    queryset = Review.objects.none()

    def get_permissions(self) -> Sequence[Any]:
        return (AllowAny(),) if self.action == "list" else super().get_permissions()

    def list(self, request: Request, **_address: str) -> Response:
        return self.page(self._shown())

    @extend_schema(request=NewReview, responses={201: ReviewSerializer})
    def create(self, request: Request, **_address: str) -> Response:
        """Writes the user's review, or edits the one that is there."""
        made = write_review(listing=self.seen(), user=user_of(request), **valid(NewReview(data=request.data)))
        return Response(ReviewSerializer(made).data, status=status.HTTP_201_CREATED)

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, **_address: str) -> Response:
        delete_review(review=self.one(self._shown()), user=user_of(request))
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(request=ReviewWords, responses=ReviewSerializer)
    @action(detail=True, methods=["post"])
    def reply(self, request: Request, **_address: str) -> Response:
        review = self.one(self._shown())
        reply_review(review=review, user=user_of(request), text=valid(ReviewWords(data=request.data))["text"])
        return Response(ReviewSerializer(self.one(self._shown())).data)

    @extend_schema(request=ReviewWords, responses={204: None})
    @action(detail=True, methods=["post"])
    def report(self, request: Request, **_address: str) -> Response:
        review = self.one(self._shown())
        report_review(review=review, user=user_of(request), text=valid(ReviewWords(data=request.data))["text"])
        return Response(status=status.HTTP_204_NO_CONTENT)

    def _shown(self) -> Any:
        mine = Review.objects.visible_to(self.request.user)
        return mine.filter(listing=self.seen()).select_related("user", "reply", "listing")


class FavouriteSerializer(serializers.ModelSerializer[Favourite]):
    """A listing that the user marked."""

    listing = ListingSerializer()

    class Meta:
        model = Favourite
        fields = ("listing", "created_at")


class FavouriteViews(OfListing[Favourite]):
    """List; mark and unmark a listing, as often as one likes."""

    serializer_class = FavouriteSerializer
    queryset = Favourite.objects.none()

    def list(self, request: Request) -> Response:
        related = ("listing__organization", "listing__current_release", "listing__base__organization")
        return self.page(Favourite.objects.of(request.user).select_related(*related))

    @extend_schema(request=None, responses={204: None})
    def create(self, request: Request, **_address: str) -> Response:
        add_favourite(listing=self.seen(), user=user_of(request))
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, **_address: str) -> Response:
        remove_favourite(listing=self.seen(), user=user_of(request))
        return Response(status=status.HTTP_204_NO_CONTENT)
