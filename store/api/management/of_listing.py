"""What all views below ``/api/listings/{organization}/{slug}`` share: whose listing it is, and who asks."""

from __future__ import annotations

from typing import Any, TypeVar

from django.db.models import Model, QuerySet
from rest_framework import serializers, viewsets
from rest_framework.request import Request
from rest_framework.response import Response

from store.accounts.models import Organization, User
from store.api.management.pages import NewestFirst
from store.catalog.models import Listing
from store.errors import NotFound

M = TypeVar("M", bound=Model)


def user_of(request: Request) -> User:
    """The user of a request that was let in."""
    assert isinstance(request.user, User)  # the view's permissions let nobody else in
    return request.user


def valid(serializer: serializers.BaseSerializer[Any]) -> dict[str, Any]:
    """What the serializer makes of its data. Raises ValidationError, which names the field."""
    serializer.is_valid(raise_exception=True)
    return dict(serializer.validated_data)


class Reason(serializers.Serializer[Any]):
    """Why, in words for those whom it concerns."""

    reason = serializers.CharField(default="", allow_blank=True, max_length=4000)


class OfListing(viewsets.GenericViewSet[M]):
    """A view set of things that belong to one listing."""

    pagination_class = NewestFirst

    def seen(self) -> Listing:
        """The listing of the address, if the user may see it. Raises NotFound."""
        return self._named(Listing.objects.visible_to(self.request.user))

    def own(self) -> Listing:
        """The listing of the address, if it belongs to an organization of the user's. Raises NotFound."""
        return self._named(Listing.objects.filter(organization__in=Organization.objects.visible_to(self.request.user)))

    def _named(self, listings: QuerySet[Listing]) -> Listing:
        name = f"{self.kwargs['organization']}/{self.kwargs['slug']}"
        found = listings.select_related("organization", "current_release", "base__organization")
        listing = found.filter(pk__in=Listing.objects.named(name)).first()
        if listing is None:
            raise NotFound("There is no such model.")
        return listing

    def one(self, rows: QuerySet[M]) -> M:
        """The row of the address, ``{id}``, among these. Raises NotFound."""
        found = rows.filter(pk=self.kwargs["pk"]).first()
        if found is None:
            raise NotFound
        return found

    def page(self, rows: QuerySet[M]) -> Response:
        """A page of the rows."""
        shown = self.paginate_queryset(rows)
        return self.get_paginated_response(self.get_serializer(shown, many=True).data)
